"""Layers of a model's own file that guess ahead: the same answers, in fewer steps."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.engine.mtp import WINDOW, MtpLayers
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.types import RequestContext
from tests.core.llm.backends.test_draft_model import (
    CHEAP_ROWS,
    FREE_OF_COST,
    REQUESTS,
    answers_to,
    ask,
    scheduler_of,
)
from tests.core.llm.tiny_models import GUESSING, PLAIN

CONTEXT = 512
OPTIONS = LlamaOptions(CONTEXT, 4, max_queue=64, context=ContextOptions(1, "off"), draft_tokens=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GUESSING.write(tmp_path_factory.mktemp("model"))


@asynccontextmanager
async def opened(
    model: Path, options: LlamaOptions = OPTIONS, *, has_mtp: bool
) -> AsyncGenerator[EngineBackend, None]:
    """With guesses as if they cost nothing."""
    card = ModelCard("tiny", 0, "tests", CONTEXT)
    options = replace(options, model=ModelOptions(has_mtp=has_mtp))
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(model, card, options, compute)) as backend,
    ):
        guesses = scheduler_of(backend)._guesses
        if guesses._modelled is not None:
            guesses.costs = CHEAP_ROWS
            layers_of(backend).costs = FREE_OF_COST
        yield backend


def layers_of(backend: EngineBackend) -> MtpLayers:
    modelled = scheduler_of(backend)._guesses._modelled
    assert modelled is not None
    assert isinstance(modelled._drafter, MtpLayers)
    return modelled._drafter


def test_the_header_says_whether_a_file_has_such_layers(model: Path, tmp_path: Path) -> None:
    assert read_gguf(model).can_use_mtp
    assert not read_gguf(PLAIN.write(tmp_path)).has_mtp


@pytest.mark.parametrize("kv_tokens", [None, 2048])
async def test_mtp_layers_change_no_answer_alone_or_beside_others(
    model: Path, kv_tokens: int | None
) -> None:
    options = replace(OPTIONS, kv_tokens=kv_tokens)
    async with (
        opened(model, options, has_mtp=False) as plain,
        opened(model, options, has_mtp=True) as guessing,
    ):
        for request in REQUESTS.values():
            assert await answers_to(plain, request) == await answers_to(guessing, request)
        together = tuple(REQUESTS.values())
        assert await answers_to(guessing, *together) == await answers_to(plain, *together)
        scheduler = scheduler_of(guessing)
        scheduler.check_integrity()
        assert scheduler.accepted_tokens > 100


async def test_what_a_slot_shares_or_loses_costs_no_answer(model: Path) -> None:
    texts = ["A long beginning that all of them share, word by word. " * 6 + end for end in "abc"]
    requests = [
        replace(ask(text + more), context=RequestContext(scope=scope))
        for text in texts
        for more in ("", " and on", "")
        for scope in ("one", "two")
    ]
    assert len(texts[0]) > WINDOW
    async with opened(model, has_mtp=False) as plain, opened(model, has_mtp=True) as guessing:
        for request in requests:
            assert await answers_to(guessing, request) == await answers_to(plain, request)
        assert scheduler_of(guessing).accepted_tokens > 100


async def test_guesses_behind_guesses_hold_as_well(model: Path) -> None:
    """So each was made of the right token, the right hidden state and what was read before."""
    options = replace(OPTIONS, kv_tokens=2048)
    async with opened(model, options, has_mtp=True) as guessing:
        await answers_to(guessing, REQUESTS["logprobs"])
        scheduler = scheduler_of(guessing)
        assert scheduler.accepted_tokens > scheduler.drafted_tokens / 2


async def test_without_them_nothing_is_guessed(model: Path) -> None:
    async with opened(model, has_mtp=False) as plain:
        await answers_to(plain, ask("Some words"))
        assert scheduler_of(plain)._guesses._modelled is None
        assert scheduler_of(plain).drafted_tokens == 0
