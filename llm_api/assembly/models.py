"""The composition root of models that generate: what runs each of them, opened by its kind.

A backend's module is imported when a model needs it, since each imports other libraries.
"""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TypeAlias

import httpx2

from llm_api.assembly.local_models import FoundModel
from llm_api.config.chosen_backends import ChosenReplica
from llm_api.config.chosen_models import ChosenModel, ChosenModels
from llm_api.config.settings import Settings
from llm_api.core.llm.administration.book import ModelBook
from llm_api.core.llm.backend import Backend, GenerationDefaults, ModelCard, OwnedBackend
from llm_api.core.llm.backends.upstream_backend import UpstreamBackend, UpstreamOptions
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.gateway.counted import CountedBackend
from llm_api.core.llm.gateway.response_cache.backend import AnswerStore, CachingBackend
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.gateway.routing.replica import Replica
from llm_api.core.llm.gateway.routing.routed import RoutedBackend, RoutingLimits
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.residency.plan import ResidencyLimits
from llm_api.core.utils.traffic import Traffic

Wrap: TypeAlias = Callable[[Backend], Backend]
"""What puts something before a backend, which is asked in its stead."""

UPSTREAM_TEMPERATURE = 1.0
"""What the protocols of other servers take for the default; some models accept no other."""


def counted(traffic: Traffic, wrap: Wrap | None) -> Wrap:
    """What has requests counted, before what else is put before a backend."""
    return lambda backend: CountedBackend(wrap(backend) if wrap else backend, traffic)


@asynccontextmanager
async def open_models(
    chosen: ChosenModels,
    files: Sequence[FoundModel],
    compute: ComputeThread,
    wrap: Wrap | None = None,
    book: ModelBook | None = None,
    prefixes: PrefixCache | None = None,
) -> AsyncGenerator[ModelRegistry, None]:
    """Every chosen model, freed on exit. `files` are those of `chosen.gguf`, in its order.

    What they have computed is kept in `prefixes`. `wrap` makes of each backend the one that is
    asked in its stead. `book` has names that are given while they are served.

    Loads none and contacts no server: `load_startup_models()` loads, and raises what a load raised.
    """
    found = iter(files)
    models: list[KeptModel | OwnedBackend] = []
    fallbacks: dict[str, tuple[str, ...]] = {}
    async with AsyncExitStack() as half_open:
        for model in chosen.models:
            if model.backend.kind == "llama":
                opened: KeptModel | OwnedBackend = _limited(
                    next(found).kept(compute, prefixes), model
                )
            elif model.backend.is_engine:
                opened = _limited(_transformers(model), model)
            else:
                opened = await _open_resident(model)
                half_open.push_async_callback(opened.aclose)
            models.append(opened)
            fallbacks[opened.card.id] = model.backend.fallbacks
        half_open.pop_all()  # the registry owns them from here on
    limits = ResidencyLimits(chosen.memory_bytes, chosen.idle_seconds)

    def given() -> Mapping[str, str]:
        return {} if book is None else book.contents().aliases

    async with aclosing(ModelRegistry(models, limits, None, fallbacks, wrap, given)) as registry:
        yield registry


async def _open_resident(model: ChosenModel) -> OwnedBackend:
    """A model that takes no memory to speak of: its server is elsewhere, or it is a toy."""
    card = _card(model)
    if not model.backend.replicas:
        return _routed(model, card, [Replica(card.id, await _open_toy(model, card))])
    from llm_api.core.llm.gateway.emulation.backend import EmulatingBackend

    replicas = []
    for one in model.backend.replicas:
        server = await _open_server(model, card, one)
        replicas.append(Replica(_origin(one.url), server, one.weight, server.check))
    return EmulatingBackend(_routed(model, card, replicas))


async def _open_toy(model: ChosenModel, card: ModelCard) -> OwnedBackend:
    if model.backend.kind == "markov":
        from llm_api.core.llm.backends.markov import open_markov

        return await open_markov(card)
    from llm_api.core.llm.backends.stub import open_stub

    return await open_stub(card)


async def _open_server(
    model: ChosenModel, card: ModelCard, replica: ChosenReplica
) -> UpstreamBackend:
    options = _upstream(replica, model.settings)
    match model.backend.kind:
        case "ollama":
            from llm_api.core.llm.backends.ollama import open_ollama

            return await open_ollama(card, options)
        case "claude":
            from llm_api.core.llm.backends.claude import open_claude

            return await open_claude(card, options)
        case "openai" | "vllm" | "llama-server" | "huggingface" as flavour:
            from llm_api.core.llm.backends.openai import OpenAIOptions, open_openai

            return await open_openai(card, OpenAIOptions(options, flavour))
        case "llama" | "markov" | "stub" as kind:
            raise ValueError(f"{kind} runs on no other server")


def _transformers(model: ChosenModel) -> KeptModel:
    """Its size in memory is known to nobody before it is loaded."""
    return KeptModel(
        _card(model), partial(_open_transformers, model), loads_at_startup=model.loads_at_startup
    )


async def _open_transformers(model: ChosenModel) -> OwnedBackend:
    from llm_api.core.llm.backends.transformers import TransformersOptions, open_transformers
    from llm_api.core.llm.backends.transformers_loading import ModelSource
    from llm_api.core.llm.gateway.emulation.backend import EmulatingBackend

    settings = model.settings
    source = ModelSource(
        str(model.backend.model),
        gguf_file=settings.model_filename,
        cache_folder=settings.transformers_cache,
    )
    options = TransformersOptions(
        source, settings.parallel, settings.max_queue, settings.context_length
    )
    return EmulatingBackend(await open_transformers(_card(model), options))


def _limited(kept: KeptModel, model: ChosenModel) -> KeptModel:
    """The model within its time limits, if it has any."""
    chosen = model.backend
    if chosen.first_token_seconds is None and chosen.total_seconds is None:
        return kept

    async def open_limited() -> OwnedBackend:
        backend = await kept.open()
        return _routed(model, backend.card, [Replica(backend.card.id, backend)])

    return replace(kept, open=open_limited)


def _routed(model: ChosenModel, card: ModelCard, replicas: list[Replica]) -> RoutedBackend:
    limits = RoutingLimits(
        model.backend.first_token_seconds,
        model.backend.total_seconds,
        model.settings.upstream_check_seconds,
    )
    return RoutedBackend(card, replicas, limits, routing=model.backend.routing)


def _card(model: ChosenModel) -> ModelCard:
    settings, backend = model.settings, model.backend
    is_said = not backend.replicas or "temperature" in settings.model_fields_set
    temperature = settings.temperature if is_said else UPSTREAM_TEMPERATURE
    return ModelCard(
        id=str(model.name),
        created=int(time.time()),
        owned_by="llm_api",
        context_length=settings.context_length,
        aliases=settings.model_aliases,
        defaults=GenerationDefaults(settings.max_tokens, temperature),
        backend=backend.kind,
    )


def _upstream(replica: ChosenReplica, settings: Settings) -> UpstreamOptions:
    key = replica.api_key
    return UpstreamOptions(
        url=replica.url,
        model=replica.model,
        api_key=None if key is None else key.get_secret_value(),
        connect_seconds=settings.upstream_connect_seconds,
        silence_seconds=settings.upstream_silence_seconds,
    )


def _origin(url: str) -> str:
    """The server's name for the log, without what may be secret in its URL."""
    return httpx2.URL(url).netloc.decode()


@asynccontextmanager
async def open_response_cache(settings: Settings) -> AsyncGenerator[Wrap | None, None]:
    """What puts the cache before a backend; None where it is off. Connects to nothing yet."""
    if settings.response_cache == "off":
        yield None
        return
    async with _open_answers(settings) as answers:
        yield partial(CachingBackend, answers=answers, version=version("llm_api"))


@asynccontextmanager
async def _open_answers(settings: Settings) -> AsyncGenerator[AnswerStore, None]:
    seconds = settings.response_cache_seconds
    if settings.response_cache == "memory" or settings.redis_url is None:
        yield MemoryAnswers(settings.response_cache_bytes, seconds)
        return
    # Imported where it is chosen: it takes longer than a start without it should.
    from llm_api.core.llm.gateway.response_cache.redis_answers import RedisAnswers

    async with aclosing(RedisAnswers(settings.redis_url.get_secret_value(), seconds)) as answers:
        yield answers
