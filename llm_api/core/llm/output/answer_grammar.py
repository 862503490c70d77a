"""The grammar of one answer: what a model may write, so that it can be read."""

import json
from collections.abc import Mapping
from typing import Final, assert_never

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.lark import ANY_TEXT, GAP, Lark
from llm_api.core.llm.output.pattern import Pattern, merge
from llm_api.core.llm.output.reader import ReadingRules
from llm_api.core.llm.output.reasoning import Thinking
from llm_api.core.llm.output.schema import argument_schema
from llm_api.core.llm.types import (
    ChoiceFormat,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    RegexFormat,
)

_USERS: Final = "users"
"""Name of the grammar that came with the request, beside ours."""


class AnswerGrammar:
    """Writes the grammar for an answer that is read by `rules`."""

    def __init__(
        self, rules: ReadingRules, preferred: CallFormat, control_tokens: Mapping[str, int]
    ) -> None:
        self._rules = rules
        self._preferred = preferred
        self._lark = Lark(control_tokens)
        self._users_grammar: str | None = None

    def text(self, output_format: OutputFormat | None, *, is_required: bool) -> str | None:
        """The grammar as llguidance takes it; None where any text will do."""
        if not self._rules.tools and output_format is None:
            return None
        if is_required:
            answer = self._calls()
        elif output_format is None:
            answer = self._text_with_calls()
        else:
            answer = self._formatted(output_format)
            if self._rules.tools:
                answer = f"{self._calls()} | {answer}"
        may_stop_thinking = not is_required and output_format is None
        self._start(self._lark.rule("answer", answer), may_stop_thinking=may_stop_thinking)
        if self._users_grammar is None:
            return str(self._lark)
        users = {"name": _USERS, "lark_grammar": self._users_grammar}
        return json.dumps({"grammars": [{"lark_grammar": str(self._lark)}, users]})

    def _start(self, answer: str, *, may_stop_thinking: bool) -> None:
        """The rule `start`: a thought, as far as the prompt leaves one possible, and the answer."""
        marks, thinking = self._rules.marks, self._rules.thinking
        if marks is None or thinking is Thinking.CLOSED:
            self._lark.rule("start", answer)
            return
        thought = f"{self._lark.until('thought', marks.closing)} {GAP} {answer}"
        if may_stop_thinking:
            thought = f"({thought} | {ANY_TEXT})"
        if thinking is Thinking.POSSIBLE:
            opening = self._lark.until("opening", marks.opening, after=GAP)
            thought = f"{opening} {thought} | {answer}"
        self._lark.rule("start", thought)

    def _formatted(self, output_format: OutputFormat) -> str:
        match output_format:
            case JSONFormat(schema):
                return self._lark.json(schema)
            case RegexFormat(pattern):
                return self._lark.regex(pattern)
            case ChoiceFormat(choices):
                return " | ".join(json.dumps(choice) for choice in choices)
            case GrammarFormat(grammar):
                self._users_grammar = grammar
                return f"@{_USERS}"
            case other:
                assert_never(other)

    def _calls(self) -> str:
        """Nothing but calls in the preferred format."""
        before, _ = self._preferred.around_name()
        first = self._lark.parts(merge((self._preferred.opening, *before)))
        return self._lark.rule("calls", f"{first} {self._functions(is_repeated=True)}")

    def _functions(self, *, is_repeated: bool) -> str:
        """The rest of the first call behind what stands before its name, and further calls."""
        form = self._preferred
        before, behind = form.around_name()
        function = self._lark.rule(
            "function",
            " | ".join(
                f"{self._lark.parts(merge((tool.name, *behind)))}"
                f" {self._arguments(form, position)} {self._lark.literal(form.tail)}"
                for position, tool in enumerate(self._rules.tools)
            ),
        )
        again = self._lark.parts(merge((form.separator, *before)))
        repetition = f"({again} {function})*" if is_repeated and self._rules.is_parallel else ""
        return f"{function} {repetition} {self._lark.literal(form.closing)}"

    def _arguments(self, form: CallFormat, position: int) -> str:
        """The rule for the arguments of one function, in the notation of one format."""
        schema = argument_schema(self._rules.tools[position])
        name = f"{form.arguments.notation}_{position}"
        return self._lark.rule(name, form.arguments.grammar(self._lark, schema))

    def _text_with_calls(self) -> str:
        """Free text, in which whatever would be read as a call is one."""
        anywhere: list[str] = []
        beginning: list[str] = []
        for number, form in enumerate(self._rules.formats):
            calls = (
                self._triggered()
                if form is self._preferred and form.trigger
                else self._headed(form, f"call_{number}")
            )
            (anywhere if form.is_anywhere else beginning).append(calls)
        beginnings = "".join(f" | {calls}" for calls in beginning)
        if not anywhere:
            return f"{ANY_TEXT}{beginnings}"
        if self._rules.is_parallel:
            return f"({' | '.join(anywhere)})* {ANY_TEXT}{beginnings}"
        return f"{' | '.join(anywhere)} | {ANY_TEXT}{beginnings}"

    def _triggered(self) -> str:
        """Text up to the preferred format's trigger, and the calls that must follow."""
        form = self._preferred
        before, _ = form.around_name()
        first, *rest = merge((form.opening, *before))
        triggered = self._lark.until("triggered", form.trigger)
        behind = self._lark.parts(merge((str(first).removeprefix(form.trigger), *rest)))
        has_frame = bool(form.opening or form.closing)
        return self._lark.rule(
            "triggered_calls", f"{triggered} {behind} {self._functions(is_repeated=has_frame)}"
        )

    def _headed(self, form: CallFormat, name: str) -> str:
        """Text up to the whole head of a call, and the rest of that call."""
        calls = []
        for position, tool in enumerate(self._rules.tools):
            heads = "|".join(
                Pattern((form.opening, *head), form.arguments.beginning).regex(tool.name)
                for head in form.heads
            )
            before = ANY_TEXT if form.is_anywhere else ""
            head = self._lark.until_regex(f"{name}_{position}", f"({heads})", after=before)
            tail = Pattern((form.tail,)).regex("")
            calls.append(f"{head} {GAP} {self._arguments(form, position)} /{tail}/")
        return self._lark.rule(name, " | ".join(calls))
