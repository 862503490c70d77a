"""The functions resource: what is listed, what is run, and what each outcome is on the wire."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.core.functions.builtin.dates import get_weekday
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin, Problem
from tests.api.test_bad_input import RAW_BODIES, assert_envelope
from tests.fakes import FakeServices
from tests.live import PATIENCE_SECONDS, wait_until

FUNCTIONS = "/v1/functions"


def divide(a: float, b: float = 2) -> float:
    """Divide two numbers.

    Args:
        a: What is divided.
        b: What by.
    """
    return a / b


@pytest.fixture
def add(services: FakeServices) -> Callable[..., None]:
    """Puts a function into the catalog, whose calls may take half a second."""

    def add(
        function: Callable[..., Any],
        threads: FunctionThreads | None = None,
        timeout_seconds: float = 0.5,
    ) -> None:
        declaration = declare(function, timeout_seconds=timeout_seconds)
        origin = Origin("file", "mine.py")
        services.functions.catalog.add(
            PythonFunction(declaration, origin, threads or FunctionThreads())
        )

    return add


DIVIDE = {
    "name": "divide",
    "description": "Divide two numbers.",
    "parameters": {
        "type": "object",
        "properties": {
            "a": {"type": "number", "description": "What is divided."},
            "b": {"type": "number", "description": "What by.", "default": 2},
        },
        "required": ["a"],
        "additionalProperties": False,
    },
    "origin": {"type": "file", "name": "mine.py"},
}


async def test_functions_are_listed_with_their_schemas_and_what_is_missing(
    client: httpx2.AsyncClient, services: FakeServices, add: Callable[..., None]
) -> None:
    add(divide)
    problem = Problem(Origin("package", "acme-tips"), "ValueError: no.")
    services.functions.catalog.report(problem)
    response = await client.get(FUNCTIONS)
    assert response.status_code == 200
    assert response.json() == {
        "object": "list",
        "data": [DIVIDE],
        "problems": [
            {
                "origin": {"type": "package", "name": "acme-tips"},
                "message": "acme-tips: ValueError: no.",
            }
        ],
    }


async def test_without_functions_the_list_is_empty(client: httpx2.AsyncClient) -> None:
    expected = {"object": "list", "data": [], "problems": []}
    assert (await client.get(FUNCTIONS)).json() == expected


async def test_one_function_is_described(
    client: httpx2.AsyncClient, add: Callable[..., None]
) -> None:
    add(divide)
    assert (await client.get(f"{FUNCTIONS}/divide")).json() == DIVIDE


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", ["nope", "Divide", "%00", "a" * 5000])
async def test_an_unknown_function_is_not_found(
    client: httpx2.AsyncClient, add: Callable[..., None], method: str, name: str
) -> None:
    add(divide)
    response = await client.request(method, f"{FUNCTIONS}/{name}", json={})
    assert response.status_code == 404
    error = assert_envelope(response)
    assert (error["code"], error["type"]) == ("function_not_found", "invalid_request_error")


@pytest.mark.parametrize(
    ("arguments", "result"), [({"a": 5}, 2.5), ({"a": "5", "b": 5}, 1.0), ({"a": 1, "b": 1.0}, 1.0)]
)
async def test_a_function_is_run(
    client: httpx2.AsyncClient,
    add: Callable[..., None],
    arguments: dict[str, object],
    result: float,
) -> None:
    add(divide)
    response = await client.post(f"{FUNCTIONS}/divide", json={"arguments": arguments})
    assert response.status_code == 200
    body = response.json()
    assert 0 < body.pop("duration_seconds") < 5
    assert body == {"name": "divide", "result": result, "is_error": False, "error": None}


async def test_arguments_may_be_left_out_where_there_are_none(
    client: httpx2.AsyncClient, add: Callable[..., None]
) -> None:
    def ping() -> dict[str, None]:
        return {"pong": None}

    add(ping)
    bodies: list[dict[str, object]] = [{}, {"arguments": {}}]
    for body in bodies:
        response = await client.post(f"{FUNCTIONS}/ping", json=body)
        assert response.json()["result"] == {"pong": None}


def slow() -> None:
    threading.Event().wait(1)


async def slow_async() -> None:
    await asyncio.sleep(60)


def large() -> str:
    return "x" * 2000


def shapeless() -> object:
    return object()


@pytest.mark.parametrize(
    ("function", "arguments", "code", "message"),
    [
        (divide, {"a": 1, "b": 0}, "function_failed", "ZeroDivisionError: float division by zero"),
        (slow, {}, "function_timeout", "slow gave no result within 0.5 seconds."),
        (slow_async, {}, "function_timeout", "slow_async gave no result within 0.5 seconds."),
        (
            large,
            {},
            "function_result_invalid",
            "The result has 2002 bytes, and may have 1024: ask for less.",
        ),
        (
            shapeless,
            {},
            "function_result_invalid",
            "The result is no JSON: Unable to serialize unknown type: <class 'object'>.",
        ),
    ],
)
async def test_a_function_that_gives_no_result_is_an_answer_that_no_client_retries(
    client: httpx2.AsyncClient,
    add: Callable[..., None],
    function: Callable[..., Any],
    arguments: dict[str, object],
    code: str,
    message: str,
) -> None:
    add(function)
    name = function.__name__
    response = await client.post(f"{FUNCTIONS}/{name}", json={"arguments": arguments})
    assert response.status_code == 200
    body = response.json()
    assert body.pop("duration_seconds") < 5
    assert body == {
        "name": name,
        "result": None,
        "is_error": True,
        "error": {"code": code, "message": message},
    }


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "arguments.a", "invalid_arguments"),
        ({"arguments": {"a": "x"}}, "arguments.a", "invalid_arguments"),
        ({"arguments": {"a": 1, "c": 1}}, "arguments.c", "invalid_arguments"),
        ({"arguments": []}, "arguments", "invalid_type"),
        ({"arguments": '{"a": 1}'}, "arguments", "invalid_type"),
        ({"arguments": None}, "arguments", "invalid_type"),
        ({"a": 1}, "a", "unsupported_parameter"),
        ({"arguments": {"a": [0] * 5000}}, "arguments", "invalid_value"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_by_name(
    client: httpx2.AsyncClient,
    add: Callable[..., None],
    body: dict[str, object],
    param: str,
    code: str,
) -> None:
    add(divide)
    response = await client.post(f"{FUNCTIONS}/divide", json=body)
    assert response.status_code == 400
    error = assert_envelope(response)
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", RAW_BODIES)
async def test_a_body_that_is_no_json_object_is_refused(
    client: httpx2.AsyncClient, add: Callable[..., None], name: str
) -> None:
    add(divide)
    headers = {"content-type": "application/json"}
    response = await client.post(f"{FUNCTIONS}/divide", content=RAW_BODIES[name], headers=headers)
    assert response.status_code == 400
    assert_envelope(response)


async def test_a_call_that_finds_no_thread_says_when_to_come_back(
    client: httpx2.AsyncClient, add: Callable[..., None]
) -> None:
    end = threading.Event()

    def stuck() -> None:
        end.wait()

    add(stuck, FunctionThreads(limit=1))
    assert (await client.post(f"{FUNCTIONS}/stuck", json={})).status_code == 200
    response = await client.post(f"{FUNCTIONS}/stuck", json={})
    assert response.status_code == 503
    assert assert_envelope(response)["code"] == "functions_busy"
    assert int(response.headers["retry-after"]) >= 1
    end.set()


def test_a_client_that_leaves_cancels_an_async_function(
    base_url: str, add: Callable[..., None]
) -> None:
    began, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise

    add(wait, timeout_seconds=60)
    url = httpx2.URL(base_url)
    with socket.create_connection((url.host, url.port or 0)) as connection:
        head = f"POST {FUNCTIONS}/wait HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 2\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n{{}}".encode())
        wait_until(began.is_set)
        assert not ended.is_set()
    wait_until(ended.is_set)


async def test_the_server_answers_others_while_a_function_blocks(
    client: httpx2.AsyncClient, add: Callable[..., None]
) -> None:
    began, end = threading.Event(), threading.Event()

    def block() -> bool:
        began.set()
        return end.wait(PATIENCE_SECONDS)

    add(block, timeout_seconds=PATIENCE_SECONDS)
    running = asyncio.create_task(client.post(f"{FUNCTIONS}/block", json={}))
    await asyncio.to_thread(began.wait)
    assert (await client.get("/health")).status_code == 200
    assert not running.done()
    end.set()
    assert (await running).json()["result"] is True


async def test_the_examples_of_the_docs_run(
    client: httpx2.AsyncClient, app: FastAPI, add: Callable[..., None]
) -> None:
    add(get_weekday)
    schema = app.openapi()
    [parameter] = schema["paths"]["/v1/functions/{name}"]["post"]["parameters"]
    [name] = parameter["schema"]["examples"]
    [example] = schema["components"]["schemas"]["FunctionArguments"]["examples"]
    response = await client.post(f"{FUNCTIONS}/{name}", json=example)
    assert response.json()["result"]["weekday"] == "Saturday"
    assert json.dumps(schema).count("Functions") >= 3
