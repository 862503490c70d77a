"""A Python function as something a model can call, and the threads for one that blocks."""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from llm_api.core.errors import FunctionResultError, FunctionsBusyError
from llm_api.core.functions.one_line import one_line
from llm_api.core.functions.registry import Declaration
from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.utils.work_threads import WorkThreads

Result = TypeVar("Result")

MAX_THREADS = 16


class FunctionThreads:
    """Runs blocking functions for the event loop, at most `limit` of them at a time.

    Once all places are held by calls that do not end, further work is refused.
    """

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self._limit = limit
        self._threads = WorkThreads(limit)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, run with this task's context variables.

        Waits for a place. To cancel is to abandon the work. Raises FunctionsBusyError where every
        place is held by abandoned work.
        """
        if self._threads.is_stuck:
            raise FunctionsBusyError(
                f"All {self._limit} threads for functions are held by calls that timed out or were"
                " given up, and do not end."
            )
        return await self._threads.run(work)


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """Runs a declared function: on the event loop if it is async, else in one of `threads`."""

    declaration: Declaration
    origin: Origin
    threads: FunctionThreads

    @property
    def spec(self) -> FunctionSpec:
        return self.declaration.spec

    @property
    def timeout_seconds(self) -> float | None:
        return self.declaration.timeout_seconds

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        """As `Function.call`. A sync function that is cancelled runs on, in its thread, unheard."""
        function = partial(
            self.declaration.function, **self.declaration.arguments.validate(arguments)
        )
        if inspect.iscoroutinefunction(self.declaration.function):
            result = await function()
        else:
            result = await self.threads.run(function)
            if inspect.isawaitable(result):
                result = await result
        # In a thread as well: a large result would hold up the event loop.
        return await asyncio.to_thread(to_json_text, result)


def to_json_text(value: object) -> str:
    """The value as JSON. Pure. Raises FunctionResultError where it has no such form.

    Dataclasses, Pydantic models, enums, dates, decimals (as strings) and sets have one. NaN and
    infinity, for which JSON has no number, become the strings "NaN", "Infinity" and "-Infinity".
    """
    if isinstance(value, Iterator):
        raise FunctionResultError("The function returned an iterator, which may have no end.")
    try:
        return to_json(value, inf_nan_mode="strings").decode()
    except PydanticSerializationError as error:
        raise FunctionResultError(f"The result is no JSON: {one_line(str(error))}.") from error
