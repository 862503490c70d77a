"""Layers of a model's own file that guess ahead: the same answers, in fewer steps."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.llm.backends.llama import LlamaOptions
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.engine.mtp import WINDOW
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.types import RequestContext
from tests.core.llm.backends.drafted_models import (
    OPTIONS,
    REQUESTS,
    answers_to,
    ask,
    guessing_freely,
    opened,
    scheduler_of,
)
from tests.core.llm.engine.draft_totals import accepted, drafted
from tests.core.llm.tiny_models import GUESSING, PLAIN


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GUESSING.write(tmp_path_factory.mktemp("model"))


def with_layers(options: LlamaOptions = OPTIONS) -> LlamaOptions:
    return replace(options, model=ModelOptions(has_mtp=True))


def test_the_header_says_whether_a_file_has_such_layers(model: Path, tmp_path: Path) -> None:
    assert read_gguf(model).can_use_mtp
    assert not read_gguf(PLAIN.write(tmp_path)).has_mtp


@pytest.mark.parametrize("kv_tokens", [None, 2048])
async def test_mtp_layers_change_no_answer_alone_or_beside_others(
    model: Path, kv_tokens: int | None
) -> None:
    options = replace(OPTIONS, kv_tokens=kv_tokens)
    async with (
        opened(model, options) as plain,
        guessing_freely(model, with_layers(options)) as guessing,
    ):
        for request in REQUESTS.values():
            assert await answers_to(plain, request) == await answers_to(guessing, request)
        together = tuple(REQUESTS.values())
        assert await answers_to(guessing, *together) == await answers_to(plain, *together)
        scheduler = scheduler_of(guessing)
        scheduler.check_integrity()
        assert accepted(scheduler) > 100


async def test_what_a_slot_shares_or_loses_costs_no_answer(model: Path) -> None:
    texts = ["A long beginning that all of them share, word by word. " * 6 + end for end in "abc"]
    requests = [
        replace(ask(text + more), context=RequestContext(scope=scope))
        for text in texts
        for more in ("", " and on", "")
        for scope in ("one", "two")
    ]
    assert len(texts[0]) > WINDOW
    async with opened(model) as plain, guessing_freely(model, with_layers()) as guessing:
        for request in requests:
            assert await answers_to(guessing, request) == await answers_to(plain, request)
        assert accepted(scheduler_of(guessing)) > 100


async def test_guesses_behind_guesses_hold_as_well(model: Path) -> None:
    """So each was made of the right token, the right hidden state and what was read before."""
    options = replace(OPTIONS, kv_tokens=2048)
    async with guessing_freely(model, with_layers(options)) as guessing:
        await answers_to(guessing, REQUESTS["logprobs"])
        scheduler = scheduler_of(guessing)
        assert accepted(scheduler) > drafted(scheduler) / 2


async def test_without_them_nothing_is_guessed(model: Path) -> None:
    async with opened(model) as plain:
        await answers_to(plain, ask("Some words"))
        assert scheduler_of(plain)._guesses._modelled is None
        assert drafted(scheduler_of(plain)) == 0
