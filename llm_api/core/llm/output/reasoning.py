"""Where a model thinks before it answers."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Thinking(Enum):
    """What the prompt says about the answer's beginning."""

    OPEN = auto()
    """The answer begins in mid-thought."""
    POSSIBLE = auto()
    CLOSED = auto()
    """The prompt has ended the thought, or the model has none."""


@dataclass(frozen=True, slots=True)
class ReasoningMarks:
    """The texts around a thought, and the white space that a model writes behind each of them."""

    opening: str
    closing: str
    gap: str = ""

    def thinking(self, prompt_text: str) -> Thinking:
        """Whether a prompt ends within a thought: its last words are then the opening."""
        prompt = prompt_text.rstrip()
        if prompt.endswith(self.opening):
            return Thinking.OPEN
        return Thinking.CLOSED if prompt.endswith(self.closing) else Thinking.POSSIBLE

    def empty(self, prompt_text: str) -> str:
        """What ends a thought before it begins, behind this prompt; "" where there is none."""
        match self.thinking(prompt_text):
            case Thinking.CLOSED:
                return ""
            case Thinking.OPEN:
                gap = self.gap[len(prompt_text) - len(prompt_text.rstrip()) :]
                return f"{gap}{self.closing}{self.gap}"
            case Thinking.POSSIBLE:
                return f"{self.opening}{self.gap}{self.closing}{self.gap}"


MARKS: Final = (
    ReasoningMarks("<think>", "</think>", gap="\n\n"),
    ReasoningMarks("[THINK]", "[/THINK]"),
    ReasoningMarks("<|START_THINKING|>", "<|END_THINKING|>"),
    ReasoningMarks("<seed:think>", "</seed:think>"),
    ReasoningMarks("<mm:think>", "</mm:think>"),
    ReasoningMarks("<|inner_prefix|>", "<|inner_suffix|>"),
    ReasoningMarks("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
    ReasoningMarks("<|channel>thought\n", "<channel|>"),
)


def find_marks(template_source: str) -> ReasoningMarks | None:
    """The marks that a chat template speaks of, if only to remove them.

    A string in a template may write a line break as an escape.
    """
    template_source = template_source.replace("\\n", "\n")
    for marks in MARKS:
        if marks.opening in template_source or marks.closing in template_source:
            return marks
    return None
