"""How one model writes thoughts and calls, and what follows from it for one answer."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_api.core.llm.output.answer_grammar import AnswerGrammar
from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.formats import STRAYS, recognise_formats
from llm_api.core.llm.output.reader import OutputReader, ReadingRules
from llm_api.core.llm.output.reasoning import ReasoningMarks, Thinking, find_marks
from llm_api.core.llm.types import ChatPrompt, GenerationRequest


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What an answer may be, and how it is read.

    `grammar` is llguidance's: a text in its Lark dialect, or a JSON list of such; None where
    any text will do.
    """

    grammar: str | None
    reader: OutputReader


def new_call_id() -> str:
    """An id in the form of OpenAI's."""
    return f"call_{secrets.token_hex(12)}"


class Dialect:
    """The notation of one model. Thread-safe: it keeps nothing between calls."""

    def __init__(
        self,
        formats: tuple[CallFormat, ...],
        marks: ReasoningMarks | None,
        control_tokens: Mapping[str, int],
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        """`formats` are the model's, the preferred one first; `control_tokens` text to id."""
        self._formats = formats
        self._strays = tuple(stray for stray in STRAYS if stray not in formats)
        self._marks = marks
        self._control_tokens = control_tokens
        self._new_id = new_id
        texts = [text for form in formats for text in form.texts()]
        texts += [marks.opening, marks.closing] if marks else []
        self.marks_as_text = frozenset(
            token
            for name, token in control_tokens.items()
            if name and any(name in text for text in texts)
        )
        """Control tokens that must reach the reader as text; all others are nothing to it."""

    def empty_thought(self, prompt_text: str) -> str:
        """What a prompt is followed by for an answer without a thought; "" where it has none."""
        return self._marks.empty(prompt_text) if self._marks else ""

    def plan(self, request: GenerationRequest, prompt_text: str = "") -> OutputPlan:
        """How to constrain and read the answer to a prompt that was rendered as `prompt_text`.

        A `GrammarFormat` is in Lark here.
        """
        tools = request.callable_tools
        choice = request.tool_choice
        is_chat = isinstance(request.prompt, ChatPrompt)
        marks = self._marks if is_chat else None
        strays = self._strays if tools and request.output_format is None else ()
        rules = ReadingRules(
            formats=self._formats if is_chat else (),
            strays=strays,
            tools=tools,
            marks=marks,
            thinking=marks.thinking(prompt_text) if marks else Thinking.CLOSED,
            is_parallel=choice is None or choice.is_parallel,
            only_at_beginning=request.output_format is not None,
        )
        reader = OutputReader(rules, self._new_id)
        is_prose = request.is_prose and is_chat
        if not tools and request.output_format is None and not is_prose:
            return OutputPlan(None, reader)
        is_required = bool(tools) and choice is not None and choice.mode == "required"
        grammar = AnswerGrammar(rules, self._control_tokens).text(
            request.output_format, is_required=is_required, is_prose=is_prose
        )
        return OutputPlan(grammar, reader)


def recognise(template_source: str, control_tokens: Mapping[str, int]) -> Dialect:
    """The dialect of a model, by its chat template and the control tokens of its vocabulary."""
    return Dialect(recognise_formats(template_source), find_marks(template_source), control_tokens)
