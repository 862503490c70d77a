"""`/metrics`: all that can be counted, as families of Prometheus, read when it is asked for.

Every family is always there, even without a sample: what a dashboard names can be looked up.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from llm_api.api.deps import WholeServices
from llm_api.api.metrics.families import Collected, counter, gauge, histogram
from llm_api.api.metrics.requests import RequestMetrics
from llm_api.api.metrics.sharing import EVERY_SECONDS, WorkersFolder
from llm_api.core.llm.observation import EngineStatus, ReplicaStatus
from llm_api.core.rag.reports import StageTimes
from llm_api.core.utils.long_work import to_the_end
from llm_api.core.utils.work_threads import WorkThreads

log = logging.getLogger(__name__)

WRITERS = 2
"""Threads that write metrics down: their own, for they are asked for when all others are held."""


class Exposition:
    """The metrics of one application, whose services are there by the first request."""

    def __init__(
        self,
        requests: RequestMetrics,
        services: Callable[[], WholeServices],
        version: str,
        folder: WorkersFolder | None = None,
    ) -> None:
        """`folder` is where the workers of a server leave what they count for each other."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Collector(requests, services, version))
        self._folder = folder
        self._threads = WorkThreads(WRITERS)

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type, in the format that the `Accept` header prefers."""
        encode, content_type = choose_encoder(accept)
        own = list(self._registry.collect())
        return await self._threads.run(partial(self._written, encode, own)), content_type

    def _written(self, encode: Callable[[Collector], bytes], own: list[Metric]) -> bytes:
        return encode(Collected(own if self._folder is None else self._folder.gathered(own)))

    @asynccontextmanager
    async def shared(self) -> AsyncGenerator[None, None]:
        """While this lasts, the other workers can tell what is counted here."""
        if self._folder is None:
            yield
            return
        leaving = asyncio.create_task(self._keep_leaving(self._folder))
        try:
            yield
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await self._threads.run(self._folder.clear)

    async def _keep_leaving(self, folder: WorkersFolder) -> None:
        while True:
            try:
                own = list(self._registry.collect())
                await to_the_end(self._threads.run(partial(folder.leave, own)))
            except OSError as error:
                log.warning("the other workers cannot tell what this one counts: %s", error)
            await asyncio.sleep(EVERY_SECONDS)


class _Collector(Collector):
    def __init__(
        self, requests: RequestMetrics, services: Callable[[], WholeServices], version: str
    ) -> None:
        self._requests = requests
        self._services = services
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the services, which are not there yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        services = self._services()
        yield gauge("info", "Which version runs.", ["version"], {(self._version,): 1})
        yield from _of_requests(self._requests)
        yield from _of_service(services)
        observations = list(services.models.observe())
        yield from _of_engines(
            [(m, one) for m, one in observations if isinstance(one, EngineStatus)]
        )
        yield from _of_replicas(
            [(m, one) for m, one in observations if isinstance(one, ReplicaStatus)]
        )
        retrieval = services.retrieval
        yield from _of_retrieval(StageTimes() if retrieval is None else retrieval.times)


def _of_requests(made: RequestMetrics) -> Iterator[Metric]:
    by_route = ["method", "endpoint", "status"]
    model = ["model"]
    yield counter("requests", "Requests, by the template of their route.", by_route, made.requests)
    yield gauge("requests_running", "Requests that are being answered.", [], {(): made.running})
    yield histogram(
        "request_seconds",
        "From a request's head to the end of its answer.",
        ["endpoint"],
        made.request_seconds.items(),
    )
    yield counter("errors", "Errors that were answered, in mid-stream too.", ["code"], made.errors)
    yield histogram(
        "queue_seconds", "Wait for a place in the engine.", model, made.queue_seconds.items()
    )
    yield histogram(
        "time_to_first_token_seconds",
        "From a request's head to the first delta of its stream.",
        model,
        made.first_token_seconds.items(),
    )
    yield histogram(
        "time_between_tokens_seconds",
        "Between two deltas of a stream, as its client takes them.",
        model,
        made.token_gaps.items(),
    )
    yield counter("prompt_tokens", "Tokens of complete requests.", model, made.prompt_tokens)
    yield counter("cached_tokens", "Those that were not computed.", model, made.cached_tokens)
    yield counter("completion_tokens", "Tokens of complete answers.", model, made.completion_tokens)
    yield counter("fallbacks", "Answers by a stand-in.", ["model", "fallback"], made.fallbacks)


def _of_service(services: WholeServices) -> Iterator[Metric]:
    models = services.models
    loaded: dict[tuple[str, ...], float] = {
        (card.id,): float(models.state(card.id) == "loaded") for card in models.cards()
    }
    log = services.request_log
    yield gauge(
        "ready",
        "Whether every model that is loaded at the start answers.",
        [],
        {(): services.is_ready},
    )
    yield gauge("model_loaded", "Whether a model is in memory.", ["model"], loaded)
    yield counter("request_log_dropped", "Records that were never written.", [], {(): log.dropped})


def _of_engines(engines: Sequence[tuple[str, EngineStatus]]) -> Iterator[Metric]:
    requests: dict[tuple[str, ...], float] = {}
    kv: dict[tuple[str, ...], float] = {}
    for model, engine in engines:
        requests |= {(model, "running"): engine.running, (model, "waiting"): engine.waiting}
        if engine.kv is not None:
            kv |= {
                (model, "running"): engine.kv.running,
                (model, "reusable"): engine.kv.reusable,
                (model, "free"): engine.kv.free,
            }
    by_state = ["model", "state"]
    yield gauge("engine_requests", "Requests in an engine.", by_state, requests)
    yield gauge("engine_kv_tokens", "Cells of the KV buffer, by what holds them.", by_state, kv)
    yield from _of_tiers(engines)
    yield from _of_drafts(engines)
    yield histogram(
        "engine_step_seconds",
        "Steps, by how long they took.",
        ["model"],
        [((model,), engine.step_seconds) for model, engine in engines],
    )
    yield histogram(
        "engine_batch_size",
        "Steps, by how many sequences were computed together.",
        ["model"],
        [((model,), engine.batch_sizes) for model, engine in engines],
    )
    yield counter(
        "engine_preemptions",
        "Times that a sequence gave up its place, to be computed again.",
        ["model"],
        {(model,): engine.preemptions for model, engine in engines},
    )


def _of_tiers(engines: Sequence[tuple[str, EngineStatus]]) -> Iterator[Metric]:
    """Prefixes that were kept outside the KV buffer."""
    tiers = {(model, tier.name): tier for model, engine in engines for tier in engine.tiers}
    labels = ["model", "tier"]
    yield gauge(
        "engine_prefix_tokens",
        "Tokens of the prefixes kept in RAM or on disk.",
        labels,
        {key: tier.tokens for key, tier in tiers.items()},
    )
    yield gauge(
        "engine_prefix_bytes",
        "Bytes of the prefixes kept in RAM or on disk.",
        labels,
        {key: tier.bytes for key, tier in tiers.items()},
    )
    yield counter(
        "engine_prefix_hits",
        "Prefixes restored instead of computed, by the tier they came from.",
        labels,
        {key: tier.hits for key, tier in tiers.items()},
    )
    yield counter(
        "engine_prefix_restored_tokens",
        "Tokens restored instead of computed, by the tier they came from.",
        labels,
        {key: tier.restored_tokens for key, tier in tiers.items()},
    )


def _of_drafts(engines: Sequence[tuple[str, EngineStatus]]) -> Iterator[Metric]:
    """Tokens that were guessed ahead."""
    drafts = {(model, one.kind): one for model, engine in engines for one in engine.drafts}
    labels = ["model", "kind"]
    yield counter(
        "engine_drafted_tokens",
        "Tokens guessed ahead, by lookup or by a draft model.",
        labels,
        {key: one.drafted for key, one in drafts.items()},
    )
    yield counter(
        "engine_accepted_tokens",
        "Those of them that were right.",
        labels,
        {key: one.accepted for key, one in drafts.items()},
    )
    yield gauge(
        "engine_drafting",
        "Whether tokens are guessed at present.",
        labels,
        {key: one.is_on for key, one in drafts.items()},
    )


def _of_replicas(replicas: Sequence[tuple[str, ReplicaStatus]]) -> Iterator[Metric]:
    """Replicas of one name on one server have one series."""
    well: dict[tuple[str, ...], float] = {}
    running: Counter[tuple[str, ...]] = Counter()
    for model, replica in replicas:
        labels = (model, replica.name)
        well[labels] = min(well.get(labels, 1), replica.is_well)
        running[labels] += replica.running
    names = ["model", "replica"]
    yield gauge(
        "replica_up", "Whether requests go to a replica: its breaker is closed.", names, well
    )
    yield gauge("replica_requests", "Requests that a replica is answering.", names, running)


def _of_retrieval(times: StageTimes) -> Iterator[Metric]:
    yield histogram(
        "retrieval_seconds",
        "Stages of a search for chunks.",
        ["stage"],
        [((stage,), seconds) for stage, seconds in times.search.items()],
    )
    yield histogram(
        "ingest_seconds",
        "Stages of bringing in a window of documents.",
        ["stage"],
        [((stage,), seconds) for stage, seconds in times.ingest.items()],
    )
    yield counter(
        "ingested_documents",
        "What became of documents that were to be stored.",
        ["outcome"],
        {(what,): count for what, count in times.documents.items()},
    )
