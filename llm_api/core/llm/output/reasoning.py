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
    """The texts around a thought."""

    opening: str
    closing: str

    def thinking(self, prompt_text: str) -> Thinking:
        """Whether a prompt ends within a thought: its last words are then the opening."""
        prompt = prompt_text.rstrip()
        if prompt.endswith(self.opening):
            return Thinking.OPEN
        return Thinking.CLOSED if prompt.endswith(self.closing) else Thinking.POSSIBLE


MARKS: Final = (
    ReasoningMarks("<think>", "</think>"),
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
