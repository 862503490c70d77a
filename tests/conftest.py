"""Fixtures that every part of the tree may use: the API in front of a fake backend."""

import gc
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.utils.machine import memory, physical_cores
from scripts.postgresql import NoPostgreSQLError, running_postgresql
from tests.core.embeddings.fake_encoder import FakeEncoder, fake_embedder
from tests.fakes import FakeBackend, FakeModels, FakeServices
from tests.live import live_server
from tests.redis_server import NoRedisError, running_redis

FAKE_PING_SECONDS = 0.1


def pytest_configure() -> None:
    """Bear a busy machine, and let the processes that tests start be interrupted.

    llama.cpp's threads wait for each other by spinning: alone on the machine that is twice as fast,
    beside other programs it can be ten times as slow. The library reads this when it is loaded.

    Servers of tests write no request log, unless the test says where, and run the weights that all
    machines have.

    llguidance, which some tests load themselves, takes a backtrace at each of its errors where
    RUST_BACKTRACE asks for one: it reads that once, at the first.

    A shell that runs the tests in the background makes them ignore SIGINT, which whatever they
    start inherits; a handler is reset in a new program, an ignored signal is not.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("LOG_FILE", os.devnull)
    os.environ.setdefault("WEIGHTS", "original")
    os.environ.setdefault("RUST_LIB_BACKTRACE", "0")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Close what `llama_cpp` opens when it is imported (`/dev/null`, twice), and never closes.

    It would be found open when the interpreter ends, where no test is blamed.
    """
    if (utils := sys.modules.get("llama_cpp._utils")) is not None:
        utils.outnull_file.close()
        utils.errnull_file.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: nobody is to wait at the end for one that began last.

    What is imported until now is not looked at again for cycles: that would take a third of a
    second, wherever it happens.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, since tests wait too; 3 GB of memory for each."""
    _, available = memory()
    return max(1, min(physical_cores() + 1, available // 3_000_000_000))


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def services(
    backend: FakeBackend, encoder: FakeEncoder, tmp_path_factory: pytest.TempPathFactory
) -> FakeServices:
    """One model that generates and one that embeds. A state that is empty when it is used."""
    models, embedders = FakeModels([backend]), EmbedderRegistry([fake_embedder(encoder)])
    folder = tmp_path_factory.getbasetemp() / f"state-{uuid4().hex}"
    state = State(StateOptions(folder))
    return FakeServices(models, embedders, state=state, models_dir=folder / "models")


@pytest.fixture
def app(services: FakeServices) -> FastAPI:
    """The API over `backend`. Its keep-alive comments come often."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        async with services.loader, aclosing(services.state):
            yield

    app = create_api(lifespan, version="0.0.test", ping_seconds=FAKE_PING_SECONDS)
    set_services(app, services)
    return app


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """What `/openapi.json` says, which is the same for every app. It takes a second to make."""
    return create_api(version="0.0.test").openapi()


@pytest.fixture
async def client(app: FastAPI, services: FakeServices) -> AsyncGenerator[httpx2.AsyncClient, None]:
    """Talks to `app` in this process: for what needs no socket."""
    transport = httpx2.ASGITransport(app)
    async with (
        services.loader,
        aclosing(services.state),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
def base_url(app: FastAPI) -> Iterator[str]:
    """`app` behind a real socket: for streams, disconnects and SDKs."""
    with live_server(app) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis, or the test is skipped."""
    try:
        with running_redis() as url:
            yield url
    except NoRedisError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL, or the test is skipped. What is in it is left by other tests."""
    try:
        with running_postgresql() as url:
            yield url
    except NoPostgreSQLError as error:
        pytest.skip(str(error))
