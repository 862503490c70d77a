"""Request bodies: every route that takes one, over a live server in front of a fake model.

Whatever is sent: an answer in time, a success or a 4xx in the form of its door, and no stream
that breaks.
"""

import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from fastapi import FastAPI
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from llm_api.api.deps import set_services
from llm_api.api.doors import Door, door_of
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.functions.builtin.dates import get_weekday
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from scripts.fuzz.near_schema import ANYTHING, ODD_ONE_IN, NearSchema
from scripts.fuzz.rounds import Target
from tests.core.embeddings.fake_encoder import EMBEDDING_ID, FakeEncoder, fake_embedder
from tests.core.rag.fakes import open_retrieval
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices, no_functions
from tests.live import live_server

ANSWER_SECONDS = 5.0
"""A body of a few kilobytes and a model that does nothing: milliseconds, or something is wrong."""
JSON_TYPE = "application/json"

_GIVEN: Mapping[str, SearchStrategy[Any]] = {
    "model": st.sampled_from([MODEL_ID, MODEL_ID, EMBEDDING_ID, EMBEDDING_ID, "nobody"]),
    "collection": st.sampled_from(["default", "default", "other", "never-made"]),
    "server_tools": st.sampled_from([None, True, False, ["get_weekday"], ["nothing"]]),
}
_PATHS = {"{name}": "get_weekday", "{document_id}": "one"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is sent, and as it is shown where it did harm."""

    method: str
    path: str
    content_type: str
    body: bytes


@contextmanager
def opened() -> Iterator[Target[Sent]]:
    """The target: every route, on a server that ends with the block."""
    with opened_by_route() as targets:
        examples = st.one_of([target.examples for target in targets.values()])
        yield Target(examples, next(iter(targets.values())).check)


@contextmanager
def opened_by_route() -> Iterator[dict[str, Target[Sent]]]:
    """A target for each route (`POST /generate`), on one server."""
    app = make_app()
    with live_server(app) as url, httpx2.Client(base_url=url, timeout=60) as client:
        check_sent = partial(check, client)
        yield {route: Target(sent, check_sent) for route, sent in requests_of(app).items()}


def check(client: httpx2.Client, sent: Sent) -> None:
    """Raises AssertionError for an answer that must not be."""
    began = time.monotonic()
    answer = client.request(
        sent.method,
        sent.path,
        content=sent.body,
        headers={"content-type": sent.content_type, "accept": f"{JSON_TYPE}, text/event-stream"},
    )
    seconds = time.monotonic() - began
    assert seconds < ANSWER_SECONDS, f"{seconds:.1f} s"
    assert answer.status_code < 500, answer.text
    assert "internal_error" not in answer.text, answer.text
    if sent.path == "/mcp":
        return
    if answer.is_success:
        if answer.headers["content-type"] == JSON_TYPE:
            answer.json()
        return
    assert answer.is_client_error, answer.status_code
    check_error(answer.json(), door_of({"path": sent.path, "headers": []}))


def check_error(said: Mapping[str, Any], door: Door) -> None:
    """Raises AssertionError for an error that the door's clients cannot read."""
    error = said["error"]
    match door:
        case "anthropic":
            assert said["type"] == "error", said
            assert sorted(error) == ["message", "type"], said
        case "ollama":
            assert isinstance(error, str), said
        case "openai" | "rerank":
            assert sorted(error) == ["code", "message", "param", "type"], said


def requests_of(app: FastAPI) -> dict[str, SearchStrategy[Sent]]:
    """What is sent, by method and path: all routes with a body, those outside OpenAPI as well."""
    document = app.openapi()
    near = NearSchema(document, _GIVEN)
    found: dict[str, SearchStrategy[Sent]] = {"POST /mcp": _json("POST", "/mcp", _MCP)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            route = f"{method.upper()} {path}"
            content = operation.get("requestBody", {}).get("content", {})
            if JSON_TYPE in content:
                values = near.values(content[JSON_TYPE]["schema"])
                found[route] = _json(method.upper(), _filled(path), values)
            elif content:
                found[route] = _forms(path)
    return found


def _filled(path: str) -> str:
    for hole, value in _PATHS.items():
        path = path.replace(hole, value)
    return path


def _json(method: str, path: str, values: SearchStrategy[Any]) -> SearchStrategy[Sent]:
    """The JSON text of these values; now and then bytes are put in, or the rest cut off."""

    @st.composite
    def requests(draw: DrawFn) -> Sent:
        body = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
        data = body.encode("utf-8", "surrogatepass")
        if draw(st.integers(1, ODD_ONE_IN)) == 1:
            place = draw(st.integers(0, len(data)))
            data = (
                data[:place]
                + draw(st.binary(max_size=4))
                + draw(st.sampled_from([data[place:], b""]))
            )
        return Sent(method, path, JSON_TYPE, data)

    return requests()


def _forms(path: str) -> SearchStrategy[Sent]:
    """Multipart bodies: some files and fields, some whole."""
    names = st.sampled_from(["files", "file", "files", "collection", "metadata", "background", "x"])
    endings = st.sampled_from(["", ".txt", ".md", ".html", ".csv", ".json", ".py", ".pdf", ".docx"])
    file_names = st.one_of(
        st.none(),
        st.builds(str.__add__, st.text(max_size=8), endings),
        st.sampled_from(["one.txt", '"', "../../one", "\n", "a;b"]),
    )
    values = st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        ANYTHING.map(lambda value: json.dumps(value).encode()),
        st.sampled_from([b"true", b"default", b"{}", b'{"a": 1}']),
    )

    @st.composite
    def requests(draw: DrawFn) -> Sent:
        parts = draw(st.lists(st.tuples(names, file_names, values), max_size=4))
        body = b"".join(_part(*part) for part in parts)
        body += draw(st.sampled_from([b"--x--\r\n", b"--x--\r\n", b"--x--", b"--x\r\n", b""]))
        return Sent("POST", path, "multipart/form-data; boundary=x", body)

    return requests()


def _part(name: str, file_name: str | None, value: bytes) -> bytes:
    head = f'form-data; name="{name}"'
    if file_name is not None:
        head += f'; filename="{file_name}"'
    line = f"--x\r\ncontent-disposition: {head}\r\n\r\n".encode("utf-8", "surrogatepass")
    return line + value + b"\r\n"


_MCP: SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {
            "jsonrpc": st.just("2.0"),
            "method": st.sampled_from(["initialize", "tools/list", "tools/call", "ping", "x"]),
        },
        optional={
            "id": st.one_of(st.integers(), st.text(max_size=5), ANYTHING),
            "params": st.one_of(
                ANYTHING,
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["get_weekday", "x"]), "arguments": ANYTHING}
                ),
            ),
        },
    ),
    ANYTHING,
)


def make_app() -> FastAPI:
    """The real routes and store, a model by script, an embedder by words, one function."""
    functions = no_functions()
    weekday = PythonFunction(
        declare(get_weekday, timeout_seconds=2), Origin("file", "fuzz"), FunctionThreads()
    )
    functions.catalog.add(weekday)
    models = FakeModels([FakeBackend()])
    embedders = EmbedderRegistry([fake_embedder(FakeEncoder())])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        with TemporaryDirectory() as folder:
            async with (
                open_retrieval() as retrieval,
                aclosing(State(StateOptions(Path(folder)))) as state,
            ):
                services = FakeServices(models, embedders, functions, retrieval, state)
                services.may_pull = False  # nothing that is made up here is asked of a hub
                set_services(app, services)
                await state.of("")  # opened by its first use, which takes its time
                yield

    return create_api(lifespan, version="0")
