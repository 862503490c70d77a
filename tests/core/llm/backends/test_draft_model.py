"""A draft model behind the real engine: the same answers, sooner where that pays."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.draft_model import DraftModel
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.engine.scheduler import Scheduler
from llm_api.core.llm.engine.step_costs import StepCosts
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.quantise import quantise
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    RequestContext,
    Sampling,
    TokenPrompt,
)
from tests.core.llm.tiny_models import CONTROL_TOKENS, PLAIN, RECURRENT, byte_token

CONTEXT = 512
OPTIONS = LlamaOptions(CONTEXT, 4, max_queue=64, context=ContextOptions(1, "off"), draft_tokens=0)
BYTES_ONLY = tuple((token, -100.0) for token in range(len(CONTROL_TOKENS)))
GREEDY = Sampling(temperature=0, logit_bias=BYTES_ONLY)
FREE_OF_COST = StepCosts(((1, 1e-6), (2, 1e-6)), is_assumed=True)
CHEAP_ROWS = StepCosts(((1, 1.0), (2, 1.001)), is_assumed=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PLAIN.write(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def draft(model: Path) -> Path:
    """The model itself, rounded: it guesses right more often than not."""
    path = model.with_name("draft.gguf")
    quantise(model, path, "Q8_0", threads=1)
    return path


@asynccontextmanager
async def opened(
    model: Path, draft: Path | None, options: LlamaOptions = OPTIONS
) -> AsyncGenerator[EngineBackend, None]:
    """Its draft model guesses as if that cost nothing."""
    card = ModelCard("tiny", 0, "tests", CONTEXT)
    options = replace(options, draft_model=draft)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(model, card, options, compute)) as backend,
    ):
        guesses = scheduler_of(backend)._guesses
        if guesses._modelled is not None:
            guesses.costs = CHEAP_ROWS
            drafter_of(backend).costs = FREE_OF_COST
        yield backend


def scheduler_of(backend: EngineBackend) -> Scheduler:
    scheduler = backend._engine._scheduler
    assert isinstance(scheduler, Scheduler)
    return scheduler


def drafter_of(backend: EngineBackend) -> DraftModel:
    modelled = scheduler_of(backend)._guesses._modelled
    assert modelled is not None
    assert isinstance(modelled._drafter, DraftModel)
    return modelled._drafter


def ask(text: str, sampling: Sampling = GREEDY, length: int = 60) -> GenerationRequest:
    tokens = tuple(map(byte_token, text.encode()))
    return GenerationRequest(TokenPrompt(tokens), length, sampling, ignore_eos=True)


REQUESTS = {
    "greedy": ask("The fox and the lighthouse"),
    "seeded": ask("Once upon a time", Sampling(temperature=0.8, seed=7, logit_bias=BYTES_ONLY)),
    "penalties": ask("again and again", replace(GREEDY, presence_penalty=1, frequency_penalty=1)),
    "logprobs": replace(ask("How likely is it"), top_logprobs=2),
    "long": ask("Words, words, more words. " * 12),
}


async def answers_to(
    backend: EngineBackend, *requests: GenerationRequest
) -> list[tuple[str, object, object]]:
    answers = await collect(fan_out(backend, requests), len(requests))
    return [
        (
            one.text,
            [logprob.chosen.data for logprob in one.logprobs],
            one.finished.usage.completion_tokens,
        )
        for one in answers
    ]


@pytest.mark.parametrize("kv_tokens", [None, 2048])
async def test_a_draft_model_changes_no_answer_alone_or_beside_others(
    model: Path, draft: Path, kv_tokens: int | None
) -> None:
    options = replace(OPTIONS, kv_tokens=kv_tokens)
    async with opened(model, None, options) as plain, opened(model, draft, options) as drafted:
        for request in REQUESTS.values():
            assert await answers_to(plain, request) == await answers_to(drafted, request)
        together = tuple(REQUESTS.values())
        assert await answers_to(drafted, *together) == await answers_to(plain, *together)
        scheduler = scheduler_of(drafted)
        scheduler.check_integrity()
        assert scheduler.accepted_tokens > 100


async def test_prefixes_that_are_reused_and_cut_are_read_anew_by_the_draft_model(
    model: Path, draft: Path
) -> None:
    texts = ["A long beginning that all of them share, word by word. " * 3 + end for end in "abc"]
    requests = [
        replace(ask(text + more), context=RequestContext(scope=scope))
        for text in texts
        for more in ("", " and on", "")
        for scope in ("one", "two")
    ]
    async with opened(model, None) as plain, opened(model, draft) as drafted:
        for request in requests:
            assert await answers_to(drafted, request) == await answers_to(plain, request)
        assert scheduler_of(drafted).accepted_tokens > 100


async def test_a_draft_model_short_of_room_gives_up_what_is_idle(model: Path, draft: Path) -> None:
    options = replace(OPTIONS, kv_tokens=CONTEXT)
    async with opened(model, draft, options) as drafted:
        for number in range(12):
            [answer] = await answers_to(drafted, ask(f"{number} " * 100, length=100))
            assert answer[2] == 100


async def test_a_draft_model_of_another_vocabulary_is_refused(model: Path) -> None:
    with pytest.raises(ModelFileError, match=r"another vocabulary.*49152 tokens, not 259") as error:
        async with opened(model, default_model_path()):
            pass
    assert "\n" not in str(error.value)


async def test_a_draft_model_that_cannot_take_back_what_it_read_is_refused(
    model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match="recurrent or hybrid"):
        async with opened(model, RECURRENT.write(tmp_path)):
            pass


async def test_what_steps_take_is_learnt_from_steps(model: Path, draft: Path) -> None:
    card = ModelCard("tiny", 0, "tests", CONTEXT)
    options = replace(OPTIONS, draft_model=draft)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(model, card, options, compute)) as backend,
    ):
        guesses, drafter = scheduler_of(backend)._guesses, drafter_of(backend)
        before, untried = guesses.costs, drafter.costs
        drafter.costs = replace(untried, points=tuple((rows, 1e-9) for rows, _ in untried.points))
        await answers_to(backend, ask("Some words"))
        assert guesses.costs.trials[0] < before.trials[0], "of one row"
        assert drafter.costs.trials != untried.trials


SCHEMA: Mapping[str, JSON] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.mark.long
async def test_the_default_model_drafted_for_by_its_quantisation_answers_as_without(
    tmp_path: Path,
) -> None:
    draft = tmp_path / "draft.gguf"
    quantise(default_model_path(), draft, "Q4_0", threads=1)
    story = GenerationRequest(ChatPrompt((Message("user", "Tell me of a fox."),)), 40)
    requests = (
        replace(story, sampling=Sampling(temperature=0)),
        replace(story, sampling=Sampling(temperature=0.7, seed=3)),
        replace(story, sampling=Sampling(temperature=0), output_format=JSONFormat(SCHEMA)),
    )
    model = default_model_path()
    # Without flash attention one row and several are added up in another order, here and there.
    options = replace(OPTIONS, context=ContextOptions(2))
    async with opened(model, None, options) as plain, opened(model, draft, options) as drafted:
        for request in requests:
            assert await answers_to(drafted, request) == await answers_to(plain, request)
        assert scheduler_of(drafted).accepted_tokens > 20
