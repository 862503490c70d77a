"""The part of a grammar that is about calls in one format."""

from collections.abc import Sequence

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.lark import ANY_TEXT, GAP, Lark
from llm_api.core.llm.output.pattern import Part, Pattern, merge
from llm_api.core.llm.output.schema import argument_schema
from llm_api.core.llm.types import ToolSpec


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
        before, _ = self._form.around_name()
        first = self._lark.parts(merge((self._form.opening, *before)))
        return self._lark.rule(
            f"{self._name}_alone", f"{first} {self._function()} {self._rest(is_repeated=True)}"
        )

    def in_text(self, *, is_own: bool) -> list[str]:
        """Text up to calls, and those calls, in all the ways that are read as calls.

        For a format that is written at the beginning only, the text is empty. In a format that is
        not the model's own, the trigger is not yet a call.
        """
        form = self._form
        if not (form.trigger and is_own):
            return [self._headed(form.heads)]
        others = [head for head in form.heads if not self._has_trigger(head)]
        return [self._triggered(), *([self._headed(others)] if others else ())]

    def _has_trigger(self, head: Sequence[Part]) -> bool:
        first = merge((self._form.opening, *head))[0]
        return str(first).startswith(self._form.trigger)

    def _triggered(self) -> str:
        """Behind the trigger, nothing but a call is possible."""
        before, _ = self._form.around_name()
        first, *others = merge((self._form.opening, *before))
        triggered = self._lark.until(f"{self._name}_trigger", self._form.trigger)
        behind = self._lark.parts(merge((str(first).removeprefix(self._form.trigger), *others)))
        has_frame = bool(self._form.opening or self._form.closing)
        return self._lark.rule(
            f"{self._name}_triggered",
            f"{triggered} {behind} {self._function()} {self._rest(is_repeated=has_frame)}",
        )

    def _headed(self, heads: Sequence[Sequence[Part]]) -> str:
        """Behind a whole head, nothing but the rest of that call is possible."""
        form = self._form
        calls = []
        for position, tool in enumerate(self._tools):
            regex = "|".join(
                Pattern((form.opening, *head), form.arguments.beginning).regex(tool.name)
                for head in heads
            )
            head_rule = self._lark.until_regex(
                f"{self._name}_head_{position}",
                f"({regex})",
                after=ANY_TEXT if form.is_anywhere else "",
            )
            calls.append(f"{head_rule} {GAP} {self._arguments(position)}")
        is_repeated = bool(form.closing) or not form.is_anywhere
        tails = "|".join(Pattern(tail).regex("") for tail in form.tails)
        rest = f"{f'/({tails})/' if tails else ''} {self._rest(is_repeated=is_repeated)}"
        return self._lark.rule(f"{self._name}_headed", f"({' | '.join(calls)}) {rest}")

    def _function(self) -> str:
        """A call from the function's name to its end."""
        _, behind = self._form.around_name()
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
        before, _ = self._form.around_name()
        again = self._lark.parts(merge((self._form.separator, *before)))
        return f"({again} {self._function()})* {closing}"

    def _arguments(self, position: int) -> str:
        """The rule for the arguments of one function."""
        arguments = self._form.arguments
        schema = argument_schema(self._tools[position])
        return arguments.grammar(self._lark, f"{arguments.notation}_{position}", schema)
