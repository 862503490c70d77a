"""One call, and whatever may come of it."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, JsonValue

from llm_api.core.errors import (
    FunctionFailedError,
    FunctionResultError,
    FunctionsBusyError,
    FunctionTimeoutError,
    InvalidArgumentsError,
    LLMAPIError,
)
from llm_api.core.functions.python_function import FunctionThreads
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.types import FunctionResult
from tests.core.functions.fakes import RemoteFunction, python_function
from tests.live import PATIENCE_SECONDS

RUNNER = FunctionRunner(timeout_seconds=5, result_bytes=1000)


async def run(
    function: Callable[..., Any],
    arguments: str | dict[str, JsonValue] = "",
    *,
    timeout_seconds: float | None = None,
) -> FunctionResult:
    return await RUNNER.run(python_function(function, None, timeout_seconds), arguments)


def assert_error(result: FunctionResult, kind: type[LLMAPIError], message: str) -> None:
    assert type(result.error) is kind
    assert result.is_error
    assert result.error.message == message
    assert json.loads(result.content) == {"error": message}


def sync_add(a: int, b: int = 2) -> int:
    return a + b


async def async_add(a: int, b: int = 2) -> int:
    await asyncio.sleep(0)
    return a + b


def add_later(a: int, b: int = 2) -> object:
    return async_add(a, b)


@pytest.mark.parametrize("function", [sync_add, async_add, add_later])
@pytest.mark.parametrize("arguments", ['{"a": "3"}', ' {"a": 3, "b": 2}\n', {"a": 3}])
async def test_a_function_is_called_with_its_arguments(
    function: Callable[..., Any], arguments: str | dict[str, JsonValue]
) -> None:
    result = await run(function, arguments)
    assert (result.content, result.error, result.is_error) == ("5", None, False)
    assert 0 < result.duration_seconds < 5


@pytest.mark.parametrize("arguments", ["", "  ", "{}", {}])
async def test_no_arguments_may_be_written_as_nothing(
    arguments: str | dict[str, JsonValue],
) -> None:
    assert (await run(lambda: "done", arguments)).content == '"done"'


async def test_a_sync_function_leaves_the_event_loop_alone() -> None:
    threads = [threading.get_ident()]
    await run(lambda: threads.append(threading.get_ident()))
    assert threads[0] != threads[1]


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Model(BaseModel):
    at: datetime


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("é", '"é"'),
        ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (Point(1), '{"x":1}'),
        (Model(at=datetime(2026, 2, 14, tzinfo=UTC)), '{"at":"2026-02-14T00:00:00Z"}'),
        (Decimal("1.10"), '"1.10"'),
        (Colour.RED, '"red"'),
        (timedelta(hours=1), '"PT1H"'),
        (UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        (float("nan"), '"NaN"'),
        ([float("inf"), -float("inf")], '["Infinity","-Infinity"]'),
    ],
)
async def test_a_result_becomes_json(value: object, text: str) -> None:
    assert (await run(lambda: value)).content == text


def endless() -> Iterator[int]:
    while True:
        yield 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "The result is no JSON: Unable to serialize unknown type: <class 'object'>."),
        (b"\xff", "The result is no JSON: Error serializing to JSON: invalid utf-8 sequence"),
        ("\ud800", "The result is no JSON: Error serializing to JSON: UnicodeEncodeError"),
        (endless(), "The function returned an iterator, which may have no end."),
    ],
)
async def test_a_result_without_json_is_an_error(value: object, reason: str) -> None:
    result = await run(lambda: value)
    assert isinstance(result.error, FunctionResultError)
    assert result.error.message.startswith(reason)


@pytest.mark.parametrize(("characters", "is_error"), [(998, False), (999, True)])
async def test_a_result_is_whole_or_an_error_that_tells_the_size(
    characters: int, is_error: bool
) -> None:
    result = await run(lambda: "x" * characters)
    assert result.is_error is is_error
    if is_error:
        told = "The result has 1001 bytes, and may have 1000: ask for less."
        assert_error(result, FunctionResultError, told)


async def test_the_size_of_a_result_is_that_of_its_bytes() -> None:
    assert (await run(lambda: "é" * 998)).is_error


def fails() -> None:
    raise ValueError("cannot open '/home/ada/My File.txt'\nnor /etc/passwd")


async def fails_async() -> None:
    fails()


async def remote_failure() -> FunctionResult:
    return await RUNNER.run(RemoteFunction(error=ConnectionError("gone: /run/x.sock")), {})


async def test_an_exception_becomes_one_line_for_the_model_and_a_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        results = [await run(fails), await run(fails_async)]
    for result in results:
        told = "ValueError: cannot open [path] nor [path]"
        assert_error(result, FunctionFailedError, told)
    assert caplog.text.count("Traceback") >= 2
    assert "the function f failed" in caplog.text
    told = "ConnectionError: gone: [path]"
    assert_error(await remote_failure(), FunctionFailedError, told)


def leaves() -> None:
    raise SystemExit(1)


async def leaves_async() -> None:
    leaves()


async def cancels_itself() -> None:
    raise asyncio.CancelledError


async def times_out_itself() -> None:
    raise TimeoutError("upstream")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda: next(iter(())), "RuntimeError: it raised StopIteration"),
        (leaves, "RuntimeError: it raised SystemExit"),
        (leaves_async, "SystemExit: 1"),
        (cancels_itself, "CancelledError"),
        (times_out_itself, "TimeoutError: upstream"),
    ],
)
async def test_what_would_end_a_task_or_a_server_is_an_error_result_too(
    function: Callable[..., Any], told: str
) -> None:
    assert_error(await run(function), FunctionFailedError, told)


async def test_a_long_message_is_cut() -> None:
    def f() -> None:
        raise ValueError("x" * 100_000)

    assert len((await run(f)).content) < 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            '{"a": ',
            "The arguments are no valid JSON: EOF while parsing a value at line 1 column 5.",
        ),
        ("[1]", "The arguments must be a JSON object."),
        ('{"a": NaN}', "The arguments are no valid JSON: expected value at line 1 column 7."),
    ],
)
async def test_arguments_that_are_no_object_are_refused(arguments: str, message: str) -> None:
    assert_error(await run(sync_add, arguments), InvalidArgumentsError, message)


@pytest.mark.parametrize("function", [sync_add, async_add])
async def test_arguments_that_do_not_fit_are_refused_before_the_call(
    function: Callable[..., Any],
) -> None:
    result = await run(function, {"a": "one", "c": 1})
    assert isinstance(result.error, InvalidArgumentsError)
    assert result.error.param == "a"
    assert "a: Input should be a valid integer" in result.content
    assert "c is not known" in result.content


async def test_an_async_function_is_cancelled_at_its_timeout() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    result = await run(slow, timeout_seconds=0.05)
    assert_error(result, FunctionTimeoutError, "f gave no result within 0.05 seconds.")
    assert ended == [True]
    assert 0.05 <= result.duration_seconds < 30


async def test_a_sync_function_is_given_up_at_its_timeout_and_in_the_end_refused() -> None:
    end = threading.Event()
    threads = FunctionThreads(limit=1)
    stuck = python_function(end.wait, threads, timeout_seconds=0.05)
    result = await RUNNER.run(stuck, {})
    assert_error(result, FunctionTimeoutError, "f gave no result within 0.05 seconds.")
    result = await RUNNER.run(stuck, {})
    assert isinstance(result.error, FunctionsBusyError)
    assert result.duration_seconds < 30
    # The event loop is free all the while.
    assert (await RUNNER.run(python_function(async_add, threads), {"a": 1})).content == "3"
    end.set()


async def test_the_runners_timeout_holds_where_a_function_has_none() -> None:
    async def slow() -> None:
        await asyncio.sleep(60)

    result = await FunctionRunner(0.05, 1000).run(python_function(slow), {})
    assert_error(result, FunctionTimeoutError, "f gave no result within 0.05 seconds.")


async def test_a_cancelled_caller_cancels_the_function() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    call = asyncio.create_task(run(slow))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


async def test_several_functions_run_at_the_same_time() -> None:
    met = threading.Barrier(3, timeout=PATIENCE_SECONDS)
    results = await asyncio.gather(*(run(lambda: met.wait() >= 0) for _ in range(3)))
    assert [result.content for result in results] == ["true"] * 3


async def test_a_function_that_runs_elsewhere_gets_its_arguments_as_they_are() -> None:
    remote = RemoteFunction(text='{"a":1}')
    result = await RUNNER.run(remote, '{"x": [1, "2"]}')
    assert (result.content, result.error) == ('{"a":1}', None)
    assert remote.called_with == [{"x": [1, "2"]}]
    assert (await RUNNER.run(RemoteFunction(text="x" * 2000), {})).is_error
