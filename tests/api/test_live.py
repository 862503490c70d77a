"""What goes on now: live requests, each for its key, and the engines for an administrator."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.draining import Draining
from llm_api.api.engine_watch import MAX_WATCHERS, EngineWatch
from llm_api.api.live_requests import RECENT, live_requests_of
from llm_api.api.models.live import EngineSnapshot
from llm_api.core.access.keys import SCOPES, USER_SCOPES
from llm_api.core.errors import OverloadedError
from llm_api.core.llm.observation import (
    DraftStatus,
    EngineDetail,
    EngineSecond,
    EngineStatus,
    KVTokens,
    ReplicaStatus,
    SlotStatus,
    TierStatus,
)
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import GenerationRequest
from llm_api.core.utils.distribution import Distribution
from tests.api.keyed import api_key, keyed_app, talking_to
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, hello, spoken

WAITING = Progress(7, "waiting", 900, 0, 0, 0, 64, place_in_queue=2, waited_seconds=1.5)
READING = Progress(
    7, "reading", 900, 100, 300, 0, 64, read_seconds=2, tokens_per_second=100.0, seconds_left=6.0
)
WRITING = Progress(7, "writing", 900, 100, 900, 5, 64, written_seconds=0.5)


@dataclass
class Stage:
    """A model that is at one point of its work until it is told to go on."""

    progress: Progress | None = READING
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: GenerationRequest) -> Sequence[Step]:
        if (progress := self.progress) is not None:
            request.journey.follow(lambda: progress)
        self.has_begun.set()
        return spoken("Hello")

    @asynccontextmanager
    async def working(self, client: httpx2.AsyncClient) -> AsyncGenerator[None, None]:
        """A chat is under way during the block."""
        body = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Hi"}]}
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(client.post("/v1/chat/completions", json=body))
            await self.has_begun.wait()
            try:
                yield
            finally:
                self.may_end.set()
        assert asking.result().is_success


class StagedBackend(FakeBackend):
    """Answers when its stage lets it."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Any, None]:
        assert isinstance(self.script, Stage)
        self.script(request)
        await self.script.may_end.wait()
        for event in hello(request):
            yield event


@pytest.fixture
def backend() -> FakeBackend:
    return StagedBackend(Stage())


@pytest.fixture
def stage(backend: FakeBackend) -> Stage:
    assert isinstance(backend.script, Stage)
    return backend.script


async def test_a_request_is_listed_with_how_far_it_is(
    client: httpx2.AsyncClient, stage: Stage
) -> None:
    async with stage.working(client):
        listed = (await client.get("/v1/requests")).json()
        [one] = listed["data"]
        same = (await client.get(f"/v1/requests/{one['id']}")).json()
    changing = ("age_seconds", "created", "id")
    assert {key: value for key, value in one.items() if key not in changing} == {
        "object": "request",
        "path": "/v1/chat/completions",
        "model": MODEL_ID,
        "key": None,
        "state": "reading",
        "streamed": False,
        "place_in_queue": 0,
        "prompt_tokens": 900,
        "cached_tokens": 100,
        "read_tokens": 300,
        "left_tokens": 600,
        "written_tokens": 0,
        "max_tokens": 64,
        "tokens_per_second": 100.0,
        "seconds_left": 6.0,
        "waited_seconds": 0.0,
        "read_seconds": 2.0,
        "written_seconds": 0.0,
    }
    assert same | {"age_seconds": 0} == one | {"age_seconds": 0}
    assert (listed["object"], listed["worker"], listed["has_more"]) == ("list", None, False)


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (WAITING, {"state": "waiting", "place_in_queue": 2, "waited_seconds": 1.5}),
        (WRITING, {"state": "writing", "left_tokens": 0, "written_tokens": 5}),
        (None, {"state": "waiting", "prompt_tokens": None, "seconds_left": None}),
    ],
)
async def test_each_state_has_its_numbers(
    client: httpx2.AsyncClient, stage: Stage, progress: Progress | None, shown: dict[str, object]
) -> None:
    stage.progress = progress
    async with stage.working(client):
        [one] = (await client.get("/v1/requests")).json()["data"]
    assert one | shown == one


async def test_a_request_that_has_ended_is_gone(client: httpx2.AsyncClient, stage: Stage) -> None:
    async with stage.working(client):
        [one] = (await client.get("/v1/requests")).json()["data"]
    assert (await client.get("/v1/requests")).json()["data"] == []
    gone = await client.get(f"/v1/requests/{one['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "request_not_found")


async def test_a_key_sees_its_own_requests_alone(services: FakeServices, stage: Stage) -> None:
    app = keyed_app(
        services,
        api_key(name="ruby", secret="r", scopes=USER_SCOPES),
        api_key(name="azure", secret="a", scopes=USER_SCOPES),
        api_key(name="root", secret="x", scopes=SCOPES),
    )
    async with (
        talking_to(app, x_api_key="r") as ruby,
        talking_to(app, x_api_key="a") as azure,
        talking_to(app, x_api_key="x") as root,
        stage.working(ruby),
    ):
        [own] = (await ruby.get("/v1/requests")).json()["data"]
        assert own["key"] == "ruby"
        assert (await azure.get("/v1/requests")).json()["data"] == []
        assert (await azure.get(f"/v1/requests/{own['id']}")).status_code == 404
        assert (await root.get(f"/v1/requests/{own['id']}")).json()["key"] == "ruby"
        for path in ("/v1/engine", "/v1/engine/stream"):
            assert (await ruby.get(path)).status_code == 403


def status() -> EngineStatus:
    detail = EngineDetail(
        parallel=4,
        capacity=64,
        read_speed=321.5,
        write_speed=None,
        slots=(SlotStatus(0, 7, 100, 200, 0, 600), SlotStatus(1, None, 0, 40, 9, 0)),
        seconds=(EngineSecond(), EngineSecond(512, 8, 4, 12)),
    )
    empty = Distribution(())
    ram = TierStatus("ram", 5000, 1 << 20, 1 << 30, prefixes=3, hits=2, restored_tokens=900)
    kv = KVTokens(10, 20, 30)
    drafts = (DraftStatus("lookup", 30, 20, is_on=True),)
    return EngineStatus(1, 2, empty, empty, 3, kv, (ram,), drafts, look=lambda: detail)


async def test_the_engine_is_shown_with_its_slots_and_what_is_in_them(
    client: httpx2.AsyncClient, services: FakeServices, stage: Stage
) -> None:
    replica = ReplicaStatus("gpu-1:8000", is_well=False, running=2)
    services.models.observations = [(MODEL_ID, status()), (MODEL_ID, replica)]
    async with stage.working(client):
        shown = (await client.get("/v1/engine")).json()
    [model] = shown["models"]
    [request] = shown["requests"]
    assert (model["id"], model["state"], model["context_length"]) == (MODEL_ID, "loaded", 2048)
    assert model["replicas"] == [{"name": "gpu-1:8000", "is_well": False, "running": 2}]
    engine = model["engine"]
    assert engine["slots"] == [
        {
            "index": 0,
            "state": "reading",
            "request": request["id"],
            "runs": [
                {"kind": "shared", "tokens": 100},
                {"kind": "prompt", "tokens": 200},
                {"kind": "unread", "tokens": 600},
            ],
        },
        {"index": 1, "state": "idle", "request": None, "runs": [{"kind": "kept", "tokens": 49}]},
    ]
    assert engine["history"] == {
        "read_tokens": [0, 512],
        "written_tokens": [0, 8],
        "steps": [0, 4],
        "sequences": [0, 12],
    }
    assert (engine["running"], engine["waiting"], engine["capacity"]) == (1, 2, 64)
    assert (engine["read_tokens_per_second"], engine["written_tokens_per_second"]) == (321.5, None)
    assert engine["kv"] == {"running": 10, "reusable": 20, "free": 30}
    assert engine["tiers"] == [
        {
            "tier": "ram",
            "tokens": 5000,
            "bytes": 1 << 20,
            "limit_bytes": 1 << 30,
            "prefixes": 3,
            "hits": 2,
            "restored_tokens": 900,
        }
    ]
    assert engine["drafts"] == [{"kind": "lookup", "drafted": 30, "accepted": 20, "is_on": True}]
    assert shown["queue"] == [{"key": None, "waiting": 0, "reading": 1, "writing": 0}]
    assert shown["recent"] == []


async def test_a_journey_that_has_ended_is_remembered(
    client: httpx2.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    async with stage.working(client):
        pass
    for _ in range(RECENT + 3):
        await client.get("/v1/models")  # no model works for these
    [recent] = (await client.get("/v1/engine")).json()["recent"]
    assert (recent["path"], recent["status"]) == ("/v1/chat/completions", 200)
    assert (recent["prompt_tokens"], recent["completion_tokens"]) == (5, 3)
    for _ in range(RECENT + 3):
        assert (await client.post("/chat", json={"prompt": "Hi"})).is_success
    assert len(live_requests_of(app).recent()) == RECENT


async def test_the_stream_says_the_same_and_ends_when_it_was_told_to(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.get("/v1/engine/stream?snapshots=2")
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [one for one in answer.text.split("\n\n") if one.startswith("data: ")]
    assert frames[-1] == "data: [DONE]"
    first, second = (json.loads(one.removeprefix("data: ")) for one in frames[:-1])
    assert first["object"] == "engine"
    assert second["time"] > first["time"]


def snapshot() -> EngineSnapshot:
    return EngineSnapshot.model_construct(object="engine")


async def test_a_watch_ends_when_the_server_drains() -> None:
    draining = Draining()
    watch = EngineWatch(draining, every_seconds=0.01)
    frames = aiter(watch.stream(snapshot, None, 15).body_iterator)
    assert '"object":"engine"' in str(await anext(frames))
    draining.has_begun = True
    assert await anext(frames) == b"data: [DONE]\n\n"
    assert await anext(frames, None) is None


async def test_only_a_few_may_watch() -> None:
    watch = EngineWatch(Draining())
    for _ in range(MAX_WATCHERS):
        watch.enter()
    with pytest.raises(OverloadedError, match="watch the engine already"):
        watch.stream(snapshot, None, 15)
    watch.leave()
    stream = watch.stream(snapshot, None, 15)
    await stream._frames.aclose()


async def test_watchers_of_one_moment_share_what_was_gathered() -> None:
    gathered: list[int] = []

    def gather() -> EngineSnapshot:
        gathered.append(1)
        return snapshot()

    watch = EngineWatch(Draining(), every_seconds=60)
    for _ in range(3):
        frames = aiter(watch.stream(gather, 1, 15).body_iterator)
        assert len([one async for one in frames]) == 2
    assert len(gathered) == 1
