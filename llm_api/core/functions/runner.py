"""Runs one call of a function, and makes a result of whatever happens."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from llm_api.core.errors import (
    FunctionError,
    FunctionFailedError,
    FunctionResultError,
    FunctionsBusyError,
    FunctionTimeoutError,
    InvalidArgumentsError,
)
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.one_line import describe
from llm_api.core.functions.types import Function, FunctionResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FunctionRunner:
    """Holds every call to the same limits; a function's own timeout wins over `timeout_seconds`.

    A timeout cancels an async function, which has to let that happen. A sync one cannot be stopped:
    it runs on in its thread, and its result is dropped.
    """

    timeout_seconds: float
    result_bytes: int

    async def run(
        self, function: Function, arguments: str | Mapping[str, JsonValue]
    ) -> FunctionResult:
        """What came back, errors included. To cancel is to cancel the call.

        `arguments` may be the text that a model wrote: a JSON object, or nothing for no arguments.
        """
        began = monotonic()
        try:
            content = await self._content(function, _parsed(arguments))
        except (InvalidArgumentsError, FunctionsBusyError, FunctionError) as error:
            content = to_json({"error": error.message}).decode()
            return FunctionResult(content, monotonic() - began, error)
        return FunctionResult(content, monotonic() - began)

    async def _content(self, function: Function, arguments: Mapping[str, JsonValue]) -> str:
        content = await self._called(function, arguments)
        size = len(content.encode())
        if size > self.result_bytes:
            raise FunctionResultError(
                f"The result has {size} bytes, and may have {self.result_bytes}: ask for less."
            )
        return content

    async def _called(self, function: Function, arguments: Mapping[str, JsonValue]) -> str:
        name, seconds = function.spec.name, function.timeout_seconds or self.timeout_seconds
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return await function.call(arguments)
        except (InvalidArgumentsError, FunctionsBusyError, FunctionError):
            raise
        # The border to code of others, which may raise what would end this task or the server.
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            if isinstance(error, TimeoutError) and deadline.expired():
                raise FunctionTimeoutError(
                    f"{name} gave no result within {seconds:g} seconds."
                ) from error
            logger.info("the function %s failed", name, exc_info=error)
            raise FunctionFailedError(describe(error)) from error


def _is_being_cancelled() -> bool:
    """Whether this task was cancelled, as opposed to a function that raised CancelledError."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _parsed(arguments: str | Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    if isinstance(arguments, Mapping):
        return arguments
    try:
        parsed = from_json(arguments.strip() or "{}", allow_inf_nan=False)
    except ValueError as error:
        raise InvalidArgumentsError(f"The arguments are no valid JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise InvalidArgumentsError("The arguments must be a JSON object.")
    return parsed


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions there are, and what runs them.

    A model may call functions in `max_rounds` rounds before it has to answer.
    """

    catalog: FunctionCatalog
    runner: FunctionRunner
    max_rounds: int
