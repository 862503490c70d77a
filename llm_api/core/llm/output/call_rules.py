"""The part of a grammar that is about calls in one format."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_api.core.llm.output.call_format import CallFormat, around_name
from llm_api.core.llm.output.lark import ANY_TEXT, GAP, Lark
from llm_api.core.llm.output.pattern import Part, Pattern, beginnings, escape, merge
from llm_api.core.llm.output.schemas.tool_schema import argument_schema
from llm_api.core.llm.types import ToolSpec


@dataclass(frozen=True, slots=True)
class TextRules:
    """Rules for text up to where a call may begin: how it goes on.

    `calls` are calls; `others` what only looked like the beginning of one; in `cuts`, the answer
    ends before that is decided.
    """

    calls: tuple[str, ...]
    others: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()


class CallRules:
    """Writes rules for calls to `tools`. `name` begins the names of the rules."""

    def __init__(
        self,
        lark: Lark,
        form: CallFormat,
        name: str,
        tools: Sequence[ToolSpec],
        *,
        is_parallel: bool,
    ) -> None:
        self._lark = lark
        self._form = form
        self._name = name
        self._tools = tools
        self._may_repeat = is_parallel and form.takes_several

    def alone(self) -> str:
        """Nothing but calls."""
        before, _ = around_name(self._form.heads[0])
        first = self._lark.parts(merge((self._form.opening, *before)))
        return self._lark.rule(
            f"{self._name}_alone", f"{first} {self._function()} {self._rest(is_repeated=True)}"
        )

    def in_text(self, *, is_own: bool) -> TextRules:
        """Text with calls in all the ways that are read as calls.

        For a format that is written at the beginning only, the text is empty. In a format that is
        not the model's own, the trigger is not yet a call: the name of a function is.
        """
        form = self._form
        if not (form.trigger and is_own):
            return self._named(form.heads)
        others = [head for head in form.heads if not self._has_trigger(head)]
        named = self._named(others) if others else TextRules(())
        return TextRules((self._triggered(), *named.calls), named.others, named.cuts)

    def _has_trigger(self, head: Sequence[Part]) -> bool:
        first = merge((self._form.opening, *head))[0]
        return str(first).startswith(self._form.trigger)

    def _triggered(self) -> str:
        """Behind the trigger, nothing but a call is possible."""
        before, _ = around_name(self._form.heads[0])
        first, *others = merge((self._form.opening, *before))
        triggered = self._lark.until(f"{self._name}_trigger", self._form.trigger)
        behind = self._lark.parts(merge((str(first).removeprefix(self._form.trigger), *others)))
        has_frame = bool(self._form.opening or self._form.closing)
        return self._lark.rule(
            f"{self._name}_triggered",
            f"{triggered} {behind} {self._function()} {self._rest(is_repeated=has_frame)}",
        )

    def _named(self, heads: Sequence[Sequence[Part]]) -> TextRules:
        """Behind what stands before the name, a function's name decides that this is a call."""
        form, name = self._form, self._name
        around = [around_name(head) for head in heads]
        befores = "|".join(Pattern((form.opening, *before), "x").regex("") for before, _ in around)
        prefix = self._lark.until_regex(
            f"{name}_prefix", f"({befores})", after=ANY_TEXT if form.is_anywhere else ""
        )
        behinds = "|".join(Pattern(behind, "x").regex("") for _, behind in around)
        calls = self._lark.rule(
            f"{name}_named",
            " | ".join(
                f"/{escape(tool.name)}({behinds})/ {GAP} {self._arguments(position)}"
                for position, tool in enumerate(self._tools)
            ),
        )
        names = [tool.name for tool in self._tools]
        known, begun = "|".join(map(escape, names)), beginnings(names)
        following = {Pattern(behind, form.arguments.beginning).begins_with for _, behind in around}
        other = self._lark.unlike(
            f"{name}_other", f"({known})({'|'.join(following)})(.|\\n)*", begun
        )
        is_repeated = bool(form.closing) or not form.is_anywhere
        tails = "|".join(Pattern(tail).regex("") for tail in form.tails)
        rest = f"{f'/({tails})/' if tails else ''} {self._rest(is_repeated=is_repeated)}"
        return TextRules(
            (f"{prefix} {calls} {rest}",), (f"{prefix} {other}",), (f"{prefix} /{begun}/",)
        )

    def _function(self) -> str:
        """A call from the function's name to its end."""
        _, behind = around_name(self._form.heads[0])
        tail = self._lark.parts(self._form.tails[0])
        calls = (
            f"{self._lark.parts(merge((tool.name, *behind)))} {self._arguments(position)} {tail}"
            for position, tool in enumerate(self._tools)
        )
        return self._lark.rule(f"{self._name}_function", " | ".join(calls))

    def _rest(self, *, is_repeated: bool) -> str:
        """Further calls, as far as there may be any, and the closing."""
        closing = self._lark.literal(self._form.closing)
        if not (is_repeated and self._may_repeat):
            return closing
        before, _ = around_name(self._form.heads[0])
        again = self._lark.parts(merge((self._form.separator, *before)))
        return f"({again} {self._function()})* {closing}"

    def _arguments(self, position: int) -> str:
        """The rule for the arguments of one function."""
        arguments = self._form.arguments
        schema = argument_schema(self._tools[position])
        return arguments.grammar(self._lark, f"{arguments.notation}_{position}", schema)
