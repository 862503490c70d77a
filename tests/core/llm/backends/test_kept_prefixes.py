"""Prefixes that left their slot, their model or their process come back: the same text, for real.

With tiny models of random weights, one for each kind of memory, and with the default model.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.engine.scheduler import Scheduler
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.prefix_cache import state_file
from llm_api.core.llm.prefix_cache.prefix_cache import CacheLimits, PrefixCache
from llm_api.core.llm.prefix_cache.state_folder import StateFolder
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    RequestContext,
    Retention,
    Sampling,
    TextDelta,
    TokenPrompt,
    Usage,
)
from tests.core.llm.backends.test_odd_models import CONTEXT, CUTTABLE, GREEDY, MODELS, prompt
from tests.live import PATIENCE_SECONDS

GB = 10**9
ONE_SLOT = LlamaOptions(CONTEXT, 1, max_queue=64, context=ContextOptions(1, "off"))
UNIFIED = replace(ONE_SLOT, kv_tokens=CONTEXT)


@asynccontextmanager
async def serving(
    path: Path, options: LlamaOptions, folder: Path | None = None
) -> AsyncGenerator[EngineBackend, None]:
    """A process's life: a model, and what is kept of it, in RAM and in a folder."""
    async with aclosing(ComputeThread()) as compute:
        opened = await asyncio.to_thread(StateFolder, folder) if folder is not None else None
        cache = PrefixCache(CacheLimits(GB, GB), opened, compute.post)
        await asyncio.to_thread(cache.find_files)
        try:
            card = ModelCard("m", 0, "tests", options.context_length)
            async with aclosing(await open_llama(path, card, options, compute, cache)) as backend:
                yield backend
            is_settled = asyncio.Event()
            loop = asyncio.get_running_loop()
            cache.hurry(is_hurried=True)
            compute.post(lambda: cache.settle(lambda: tell(loop, is_settled)))
            await asyncio.wait_for(is_settled.wait(), PATIENCE_SECONDS)
        finally:
            await asyncio.to_thread(cache.close)


def tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


async def ask(
    backend: EngineBackend,
    tokens: list[int],
    sampling: Sampling = GREEDY,
    retention: Retention | None = None,
) -> tuple[str, Usage]:
    request = GenerationRequest(
        TokenPrompt(tuple(tokens)), 16, sampling, ignore_eos=True, retention=retention
    )
    text, usage = "", None
    async with aclosing(backend.generate(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, Finished):
                usage = event.usage
    assert usage is not None
    return text, usage


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: model.write(folder) for kind, model in MODELS.items()}


@pytest.mark.parametrize("options", [ONE_SLOT, UNIFIED], ids=["divided", "unified"])
@pytest.mark.parametrize("kind", MODELS)
async def test_a_follow_up_after_other_conversations_gets_its_text(
    files: dict[str, Path], kind: str, options: LlamaOptions
) -> None:
    first = prompt(1, 200)
    async with serving(files[kind], options) as backend:
        text, _ = await ask(backend, first)
        follow_up = [*first, *prompt(2, 20)]
        expected, usage = await ask(backend, follow_up)
        assert usage.cached_tokens == (200 if kind in CUTTABLE else 0)
    async with serving(files[kind], options) as backend:
        await ask(backend, first)
        for seed in range(10, 22):
            await ask(backend, prompt(seed, 230))
        answer, usage = await ask(backend, follow_up)
        assert usage.cached_tokens == (200 if kind == "plain" else 0)
        assert answer == expected
        assert (await ask(backend, first))[0] == text


@pytest.mark.parametrize("kind", MODELS)
async def test_a_conversation_goes_on_after_a_restart(
    files: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    """Its next prompt begins with all that was computed: that serves every kind of memory."""
    first = prompt(1, 200)
    async with serving(files[kind], ONE_SLOT) as backend:
        await ask(backend, first)
        scheduler = backend._engine._scheduler
        assert isinstance(scheduler, Scheduler)
        resident = list(scheduler._slots[0].tokens)
        follow_up = [*resident, *prompt(2, 20)]
        expected, usage = await ask(backend, follow_up)
        assert usage.cached_tokens == len(resident)
    async with serving(files[kind], ONE_SLOT, tmp_path) as backend:
        await ask(backend, first)
    async with serving(files[kind], ONE_SLOT, tmp_path) as backend:
        answer, usage = await ask(backend, follow_up)
        assert usage.cached_tokens == len(resident)
        assert answer == expected


async def test_another_model_file_or_kv_type_finds_nothing(
    files: dict[str, Path], tmp_path: Path
) -> None:
    tokens = prompt(1, 200)
    async with serving(files["plain"], ONE_SLOT, tmp_path) as backend:
        await ask(backend, tokens)
    others = [
        (files["sliding window"], ONE_SLOT),
        (files["plain"], replace(ONE_SLOT, context=ContextOptions(1, "on", "q8_0"))),
        (files["plain"], replace(ONE_SLOT, parallel=2)),
    ]
    for path, options in others:
        async with serving(path, options, tmp_path) as backend:
            assert (await ask(backend, tokens))[1].cached_tokens == 0


async def test_a_state_that_llama_cpp_refuses_is_computed(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """As if the layout of states had changed under the same version: the checksums are right."""
    tokens = prompt(1, 200)
    async with serving(files["plain"], ONE_SLOT, tmp_path) as backend:
        expected, _ = await ask(backend, tokens)
    [path] = state_file.files_of(tmp_path)
    stored = state_file.read_head(path)
    state = state_file.read_state(stored, path)
    state[:64] = 0
    state_file.write(tmp_path, stored, state, lambda: None)
    async with serving(files["plain"], ONE_SLOT, tmp_path) as backend:
        answer, usage = await ask(backend, tokens)
    assert (answer, usage.cached_tokens) == (expected, 0)


async def test_what_may_be_in_memory_only_does_not_outlive_the_server(
    files: dict[str, Path], tmp_path: Path
) -> None:
    async with serving(files["plain"], ONE_SLOT, tmp_path) as backend:
        await ask(backend, prompt(1, 200), retention="in_memory")
    assert state_file.files_of(tmp_path) == []


async def test_a_pinned_prompt_is_there_before_anybody_has_asked(files: dict[str, Path]) -> None:
    text = "You answer in one word. " * 2
    conversation = ChatPrompt((Message("system", text), Message("user", "Hello?")))
    options = replace(ONE_SLOT, pinned=(ChatPrompt((Message("system", text),)),))
    async with serving(files["plain"], options) as backend:
        assert backend._pinning is not None
        await asyncio.wait_for(backend._pinning, PATIENCE_SECONDS)
        await ask(backend, prompt(5, 200))  # another's, in the only slot
        request = GenerationRequest(conversation, 4, GREEDY, context=RequestContext("key"))
        async with aclosing(backend.generate(request)) as events:
            usages = [event.usage async for event in events if isinstance(event, Finished)]
    assert usages[0].cached_tokens >= len(text)


@pytest.mark.long
async def test_a_restored_prefix_gives_the_text_of_the_resident_one(tmp_path: Path) -> None:
    """With the default model, greedy and seeded, in both layouts, over a restart."""
    tokens = [(number * 31) % 20_000 + 100 for number in range(150)]
    samplings = [
        Sampling(temperature=0),
        Sampling(temperature=1.0, seed=7),
    ]
    path = default_model_path()
    for number, kv_tokens in enumerate((None, CONTEXT)):
        options = LlamaOptions(
            CONTEXT, 1, 64, ContextOptions(2), kv_tokens=kv_tokens, draft_tokens=0
        )
        folder = tmp_path / str(number)
        async with serving(path, options, folder) as backend:
            await ask(backend, tokens)
            resident = [await ask(backend, tokens, sampling) for sampling in samplings]
        async with serving(path, options, folder) as backend:
            restored = [await ask(backend, tokens, sampling) for sampling in samplings]
        assert restored == resident
        assert [usage.cached_tokens for _, usage in restored] == [149, 149]
