"""Which call a fragment belongs to, however a server numbers its calls. Pure.

OpenAI sends `index` with every fragment, and `id` and `name` once. Others do otherwise:

1. `id` and `name` come again with every fragment of the same index.
2. All calls have index 0, each its own `id` and `name`.
3. There is no index: fragments without an `id` go on with the last call.
4. There is neither index nor `id`: every fragment with a name is a whole call.
5. There is no `id` where a call begins: it gets one here.
6. A call without arguments has no fragment of them: they are `{}`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from llm_api.core.llm.types import ToolCallDelta, ToolCallStarted


@dataclass(slots=True)
class CallNumbers:
    """Counts the calls of one answer from 0."""

    new_id: Callable[[], str]
    _ids: list[str] = field(default_factory=list)
    _by_index: dict[int, int] = field(default_factory=dict)
    _has_arguments: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self._ids)

    def take(self, fragment: dict[str, Any]) -> Iterator[ToolCallStarted | ToolCallDelta]:
        """What one element of `tool_calls` adds. Raises ValueError for a call without a name."""
        function = fragment.get("function") or {}
        index, id_, name = fragment.get("index"), fragment.get("id"), function.get("name")
        number = self._going_on(index, id_, name)
        if number is None:
            if not name:
                raise ValueError("a call without a name")
            number = self.count
            self._ids.append(id_ or self.new_id())
            yield ToolCallStarted(number, self._ids[number], name)
        if index is not None:
            self._by_index[index] = number
        if arguments := function.get("arguments"):
            self._has_arguments.add(number)
            yield ToolCallDelta(number, arguments)

    def end(self) -> Iterator[ToolCallDelta]:
        """The arguments of the calls that came without any."""
        for number in range(self.count):
            if number not in self._has_arguments:
                yield ToolCallDelta(number, "{}")

    def _going_on(self, index: int | None, id_: str | None, name: str | None) -> int | None:
        """The call that is continued; None where one begins."""
        if index is not None:
            number = self._by_index.get(index)
            is_another = number is not None and id_ and name and id_ != self._ids[number]
            return None if is_another else number
        if id_:
            return self._ids.index(id_) if id_ in self._ids else None
        return self.count - 1 if self._ids and not name else None
