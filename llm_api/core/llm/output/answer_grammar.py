"""The grammar of one answer: what a model may write, so that it can be read."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.call_rules import CallRules, TextRules
from llm_api.core.llm.output.lark import ANY_TEXT, GAP, Lark
from llm_api.core.llm.output.pattern import escape
from llm_api.core.llm.output.reader import ReadingRules
from llm_api.core.llm.output.reasoning import Thinking
from llm_api.core.llm.types import (
    JSON,
    ChoiceFormat,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    RegexFormat,
)

_SHORTEST_MARK: Final = 4  # what is shorter, as a bracket, stands in ordinary text

_USERS: Final = "users"
"""Name of the grammar that came with the request, beside ours."""


_TAGS: Final = r"<\/?tool[_a-z]"
"""How calls and results stand in most prompts: small models go on with more of them, or invent
such tags. Behind other text than these, a call in the model's own format may still begin."""

_FENCED_CALL: Final = r"```(json)?\s*[{\[][\s{]*\"name\""


class AnswerGrammar:
    """Writes the grammar for an answer that is read by `rules`."""

    def __init__(self, rules: ReadingRules, control_tokens: Mapping[str, int]) -> None:
        self._rules = rules
        self._lark = Lark(control_tokens)
        self._users_grammar: str | None = None

    def text(
        self, output_format: OutputFormat | None, *, is_required: bool, is_prose: bool = False
    ) -> str:
        """The grammar as llguidance takes it, for an answer with tools, a format, or of words."""
        if is_prose:
            self._lark.forbid(_TAGS)
        answer = self._lark.rule("answer", self._answer(output_format, is_required=is_required))
        self._start(answer, may_stop_thinking=not is_required and output_format is None)
        if self._users_grammar is None:
            return str(self._lark)
        users: JSON = {"name": _USERS, "lark_grammar": self._users_grammar}
        return json.dumps({"grammars": [{"lark_grammar": str(self._lark)}, users]})

    def _answer(self, output_format: OutputFormat | None, *, is_required: bool) -> str:
        if not self._rules.formats:  # a prompt without a conversation: nothing but the format
            return "" if output_format is None else self._formatted(output_format)
        own = self._rules.formats[0]
        announced = self._lark.literal(own.text_opening)
        if is_required:
            return self._calls(own, 0).alone()
        if output_format is not None:
            calls = f"{self._calls(own, 0).alone()} | " if self._rules.tools else ""
            return f"{calls}{announced} ({self._formatted(output_format)})"
        if not self._rules.tools:
            return f"{announced} {self._prose()}"
        if not announced:
            return self._free_text()
        calls = " | ".join(
            self._calls(form, number).alone()
            for number, form in enumerate(self._rules.formats)
            if not form.is_anywhere
        )
        return f"{self._preamble(own)} ({calls} | {announced} {self._free_text()})"

    def _prose(self) -> str:
        """Words alone. Marks that are control tokens are no text in any case."""
        own = {
            text.strip() for form in self._rules.formats for text in (form.trigger, form.opening)
        }
        marks = [escape(mark) for mark in sorted(own) if len(mark) >= _SHORTEST_MARK]
        return self._lark.prose(_TAGS, _FENCED_CALL, *marks)

    def _preamble(self, form: CallFormat) -> str:
        if form.preamble is None:
            return ""
        opening, closing = map(self._lark.literal, form.preamble)
        return f"({opening} {ANY_TEXT} {closing})?"

    def _calls(self, form: CallFormat, number: int) -> CallRules:
        return CallRules(
            self._lark,
            form,
            f"calls_{number}",
            self._rules.tools,
            is_parallel=self._rules.is_parallel,
        )

    def _free_text(self) -> str:
        """Any text, in which whatever would be read as a call is one."""
        own = len(self._rules.formats)
        is_announced = bool(self._rules.formats[0].text_opening)
        anywhere: list[TextRules] = []
        beginning: list[TextRules] = []
        for number, form in enumerate((*self._rules.formats, *self._rules.strays)):
            is_own = number < own
            if form.is_anywhere or not (is_announced and is_own):
                rules = self._calls(form, number).in_text(is_own=is_own)
                (anywhere if form.is_anywhere else beginning).append(rules)
        begun = self._text(anywhere)
        begins = [
            *(call for rules in beginning for call in rules.calls),
            *(f"{other} {begun}" for rules in beginning for other in rules.others),
            *(cut for rules in beginning for cut in rules.cuts),
        ]
        return self._lark.rule("text", " | ".join([*begins, begun]))

    def _text(self, anywhere: Sequence[TextRules]) -> str:
        """Text, and calls that may stand anywhere in it."""
        calls = [call for rules in anywhere for call in rules.calls]
        others = [other for rules in anywhere for other in rules.others]
        ends = [ANY_TEXT, *(cut for rules in anywhere for cut in rules.cuts)]
        (others if self._rules.is_parallel else ends).extend(calls)
        repeated = f"({' | '.join(others)})*" if others else ""
        return self._lark.rule("begun_text", f"{repeated} ({' | '.join(ends)})")

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
