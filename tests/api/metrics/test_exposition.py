"""What `/metrics` tells is what answers and the request log tell."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.metrics.sharing import WorkersFolder
from llm_api.api.wiring import create_api
from llm_api.core.access.keys import USER_SCOPES, Limits
from llm_api.core.errors import GenerationError, OverloadedError
from llm_api.core.llm.observation import (
    DraftStatus,
    EngineStatus,
    KVTokens,
    ReplicaStatus,
    TierStatus,
)
from llm_api.core.llm.types import (
    Finished,
    FunctionExecuted,
    ServedBy,
    Started,
    TextDelta,
    Timings,
    ToolCall,
    Usage,
)
from llm_api.core.utils.distribution import Distribution
from tests.api.bodies import chat, completion, embedding
from tests.api.keyed import BEARER, api_key, keyed_app, talking_to
from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.exposition import Scrape
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, endless, spoken
from tests.live import live_server, wait_until

CHAT = "/v1/chat/completions"


async def scrape(client: httpx2.AsyncClient) -> Scrape:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return Scrape(response.text)


def timed(_: object) -> list[Step]:
    usage = Usage(5, 3, cached_tokens=3)
    texts: list[Step] = [TextDelta("Hel"), 0.02, TextDelta("lo"), 0.02, TextDelta("!")]
    return [Started(5), 0.02, *texts, Finished("stop", usage, Timings(0.25, 0.5, 0.75))]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_counted_the_same_streamed_or_not(
    client: httpx2.AsyncClient, backend: FakeBackend, stream: bool
) -> None:
    backend.script = timed
    await client.post(CHAT, json=chat(stream=stream))
    seen = await scrape(client)
    labels = {"method": "POST", "endpoint": CHAT, "status": "200"}
    assert seen.value("llm_api_requests_total", **labels) == 1
    assert seen.value("llm_api_request_seconds_count", endpoint=CHAT) == 1
    tokens = {
        kind: seen.value(f"llm_api_{kind}_tokens_total", model=MODEL_ID)
        for kind in ("prompt", "cached", "completion")
    }
    assert tokens == {"prompt": 5, "cached": 3, "completion": 3}
    assert seen.value("llm_api_queue_seconds_sum", model=MODEL_ID) == 0.25


async def test_the_first_token_of_a_stream_comes_before_its_end(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = timed
    await client.post(CHAT, json=chat(stream=True))
    seen = await scrape(client)
    first = seen.value("llm_api_time_to_first_token_seconds_sum", model=MODEL_ID)
    total = seen.value("llm_api_request_seconds_sum", endpoint=CHAT)
    assert first is not None
    assert total is not None
    assert 0.02 <= first <= total - 0.04


async def test_answers_in_full_say_nothing_of_single_tokens(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = timed
    await client.post(CHAT, json=chat(stream=False))
    seen = await scrape(client)
    assert list(seen.samples("llm_api_time_to_first_token_seconds_count")) == []
    assert list(seen.samples("llm_api_time_between_tokens_seconds_count")) == []


async def test_time_between_tokens_is_that_between_the_deltas_of_one_choice(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = timed
    await client.post("/v1/completions", json=completion(n=2, stream=True))
    seen = await scrape(client)
    name = "llm_api_time_between_tokens_seconds"
    assert seen.value(f"{name}_count", model=MODEL_ID) == 4
    assert seen.value(f"{name}_bucket", model=MODEL_ID, le="0.01") == 0
    assert seen.value("llm_api_time_to_first_token_seconds_count", model=MODEL_ID) == 1


async def test_a_function_that_runs_is_no_time_between_tokens(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    ran = FunctionExecuted(0, ToolCall("call_1", "f", "{}"), "1", False, 0.1)
    backend.script = lambda _: [Started(1), TextDelta("a"), ran, *spoken("b")[1:]]
    await client.post(CHAT, json=chat(stream=True))
    seen = await scrape(client)
    assert seen.value("llm_api_time_to_first_token_seconds_count", model=MODEL_ID) == 1
    assert seen.value("llm_api_time_between_tokens_seconds_count", model=MODEL_ID) == 0


async def test_embeddings_are_counted_by_their_own_model(client: httpx2.AsyncClient) -> None:
    usage = (await client.post("/v1/embeddings", json=embedding())).json()["usage"]
    seen = await scrape(client)
    counted = seen.value("llm_api_prompt_tokens_total", model=EMBEDDING_ID)
    assert counted == usage["prompt_tokens"] > 0


async def test_a_stream_that_breaks_off_is_an_error_with_status_200(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [Started(5), TextDelta("Hel"), GenerationError("broken")]
    await client.post(CHAT, json=chat(stream=True))
    seen = await scrape(client)
    labels = {"method": "POST", "endpoint": CHAT, "status": "200"}
    assert seen.value("llm_api_requests_total", **labels) == 1
    assert seen.value("llm_api_errors_total", code="generation_failed") == 1


async def test_refusals_are_counted_by_status_and_by_code(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [OverloadedError("full", retry_after_seconds=1)]
    await client.post(CHAT, json=chat())
    seen = await scrape(client)
    labels = {"method": "POST", "endpoint": CHAT, "status": "429"}
    assert seen.value("llm_api_requests_total", **labels) == 1
    assert seen.value("llm_api_errors_total", code="queue_full") == 1


async def test_an_answer_of_a_stand_in_is_counted_as_one(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [Started(1, ServedBy("stub", "second")), *spoken("x")[1:]]
    await client.post(CHAT, json=chat())
    seen = await scrape(client)
    assert seen.value("llm_api_fallbacks_total", model=MODEL_ID, fallback="second") == 1


async def test_what_clients_make_up_makes_no_new_series(client: httpx2.AsyncClient) -> None:
    await client.get("/v1/models/made-up")
    await client.get("/first")
    before = (await scrape(client)).text.count("\n")
    for number in range(20):
        await client.get(f"/v1/models/made-up-{number}")
        await client.get(f"/unknown/{number}")
        await client.post(CHAT, json=chat(model=f"made-up-{number}"))
        await client.request(f"MADE{number}", "/health")
    seen = await scrape(client)
    # A model that is not known, a method that is not, and this page: one series each, or two.
    assert "made-up" not in seen.text
    assert "MADE" not in seen.text
    assert seen.value("llm_api_requests_total", method="GET", endpoint="none", status="404") == 21
    assert seen.text.count("\n") - before < 80


async def test_requests_under_way_are_shown(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = endless
    answer = asyncio.ensure_future(client.post(CHAT, json=chat()))
    while not backend.requests:
        await asyncio.sleep(0.01)
    assert (await scrape(client)).value("llm_api_requests_running") == 2
    answer.cancel()
    await asyncio.wait([answer])
    assert (await scrape(client)).value("llm_api_requests_running") == 1


async def test_a_client_that_leaves_is_no_longer_running(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = endless
    async with httpx2.AsyncClient(base_url=base_url) as client:
        async with client.stream("POST", CHAT, json=chat(stream=True)) as answer:
            await anext(answer.aiter_bytes())
        wait_until(lambda: bool(backend.aborted))
        seen = await scrape(client)
        while seen.value("llm_api_requests_running") != 1:
            seen = await scrape(client)
    labels = {"method": "POST", "endpoint": CHAT, "status": "499"}
    assert seen.value("llm_api_requests_total", **labels) == 1


async def test_replicas_show_whether_requests_go_to_them(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.models.observations = [
        ("m", ReplicaStatus("a:1", is_well=True, running=3)),
        ("m", ReplicaStatus("b:1", is_well=False, running=1)),
        ("m", ReplicaStatus("b:1", is_well=True, running=1)),  # by another path of that server
    ]
    seen = await scrape(client)
    assert seen.value("llm_api_replica_up", model="m", replica="a:1") == 1
    assert seen.value("llm_api_replica_up", model="m", replica="b:1") == 0
    assert seen.value("llm_api_replica_requests", model="m", replica="a:1") == 3
    assert seen.value("llm_api_replica_requests", model="m", replica="b:1") == 2


async def test_refusals_by_a_key_s_limits_are_told_apart(services: FakeServices) -> None:
    limited = api_key(limits=Limits(concurrency=0))
    watcher = api_key(scopes=["admin"], name="watcher", secret="sk-llm-watcher")
    app = keyed_app(services, limited, watcher)
    async with talking_to(app, **BEARER) as client:
        assert (await client.post(CHAT, json=chat())).status_code == 429
    async with talking_to(app, x_api_key="sk-llm-watcher") as client:
        seen = await scrape(client)
    assert seen.value("llm_api_errors_total", code="rate_limit_exceeded") == 1


async def test_keys_without_the_scope_see_nothing(services: FakeServices) -> None:
    app = keyed_app(services, api_key(scopes=USER_SCOPES))
    async with talking_to(app, **BEARER) as client:
        assert (await client.get("/metrics")).status_code == 403
    async with talking_to(app) as client:
        assert (await client.get("/metrics")).status_code == 401


async def test_engines_show_how_they_stand(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    seconds, sizes = Distribution((0.01, 0.1)), Distribution((1, 2))
    seconds.add(0.05)
    sizes.add(2)
    tiers = (TierStatus("ram", 300, 4000, 9000, 2, 5, 600), TierStatus("disk", 7, 8, 9, 1, 0, 0))
    drafts = (DraftStatus("lookup", 30, 20, False), DraftStatus("model", 8, 6, True))
    kv = KVTokens(10, 20, 70)
    status = EngineStatus(2, 3, seconds, sizes, preemptions=4, kv=kv, tiers=tiers, drafts=drafts)
    services.models.observations = [("m", status)]
    seen = await scrape(client)
    states: Mapping[str, Any] = {
        state: seen.value("llm_api_engine_requests", model="m", state=state)
        for state in ("running", "waiting")
    }
    assert states == {"running": 2, "waiting": 3}
    cells = [
        seen.value("llm_api_engine_kv_tokens", model="m", state=state)
        for state in ("running", "reusable", "free")
    ]
    assert cells == [10, 20, 70]
    kept = [
        seen.value(f"llm_api_engine_prefix_{name}", model="m", tier=tier)
        for name in ("tokens", "bytes", "hits_total", "restored_tokens_total")
        for tier in ("ram", "disk")
    ]
    assert kept == [300, 7, 4000, 8, 5, 0, 600, 0]
    assert seen.value("llm_api_engine_step_seconds_bucket", model="m", le="0.01") == 0
    assert seen.value("llm_api_engine_step_seconds_bucket", model="m", le="0.1") == 1
    assert seen.value("llm_api_engine_batch_size_sum", model="m") == 2
    assert seen.value("llm_api_engine_preemptions_total", model="m") == 4
    assert seen.value("llm_api_engine_drafted_tokens_total", model="m", kind="lookup") == 30
    assert seen.value("llm_api_engine_accepted_tokens_total", model="m", kind="model") == 6
    assert seen.value("llm_api_engine_drafting", model="m", kind="lookup") == 0
    assert seen.value("llm_api_engine_drafting", model="m", kind="model") == 1


async def test_the_service_shows_whether_it_can_answer(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.models.states[MODEL_ID] = "loading"
    services.is_ready = False
    services.request_log.dropped = 7
    seen = await scrape(client)
    assert seen.value("llm_api_ready") == 0
    assert seen.value("llm_api_model_loaded", model=MODEL_ID) == 0
    assert seen.value("llm_api_request_log_dropped_total") == 7
    assert seen.value("llm_api_info", version="0.0.test") == 1
    services.models.states[MODEL_ID] = "loaded"
    services.is_ready = True
    seen = await scrape(client)
    assert seen.value("llm_api_ready") == 1
    assert seen.value("llm_api_model_loaded", model=MODEL_ID) == 1


async def test_two_applications_in_one_process_count_apart(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    await client.post(CHAT, json=chat())
    other: FastAPI = create_api(version="0.0.other")
    set_services(other, services)
    transport = httpx2.ASGITransport(other)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as stranger:
        seen = await scrape(stranger)
    assert list(seen.samples("llm_api_requests_total")) == []


async def test_openmetrics_is_spoken_to_who_asks_for_it(client: httpx2.AsyncClient) -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    response = await client.get("/metrics", headers=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0")
    assert response.text.endswith("# EOF\n")


def test_workers_tell_each_other_while_they_live(services: FakeServices, tmp_path: Path) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        set_services(app, services)
        yield

    apps = [
        create_api(lifespan, version="0", metrics_folder=WorkersFolder(tmp_path, name))
        for name in ("1", "2")
    ]
    with live_server(apps[0]) as url:
        wait_until((tmp_path / "1.prom").exists)
        with live_server(apps[1]):
            wait_until((tmp_path / "2.prom").exists)
            seen = Scrape(httpx2.get(f"{url}/metrics").text)
            assert seen.value("llm_api_ready", worker="2") == 1
        seen = Scrape(httpx2.get(f"{url}/metrics").text)
    assert list(seen.samples("llm_api_ready")) == [({"worker": "1"}, 1)]
    assert list(tmp_path.iterdir()) == []
