"""A tiny model behind the real engine, with something that guesses ahead as if it cost nothing."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.draft_model import DraftModel
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.engine.mtp import MtpLayers
from llm_api.core.llm.engine.scheduler import Scheduler
from llm_api.core.llm.engine.step_costs import StepCosts
from llm_api.core.llm.types import GenerationRequest, Sampling, TokenPrompt
from tests.core.llm.tiny_models import CONTROL_TOKENS, byte_token

CONTEXT = 512
OPTIONS = LlamaOptions(CONTEXT, 4, max_queue=64, context=ContextOptions(1, "off"), draft_tokens=0)
BYTES_ONLY = tuple((token, -100.0) for token in range(len(CONTROL_TOKENS)))
GREEDY = Sampling(temperature=0, logit_bias=BYTES_ONLY)
FREE_OF_COST = StepCosts(((1, 1e-6), (2, 1e-6)), is_assumed=True)
CHEAP_ROWS = StepCosts(((1, 1.0), (2, 1.001)), is_assumed=True)


@asynccontextmanager
async def opened(
    model: Path, options: LlamaOptions = OPTIONS
) -> AsyncGenerator[EngineBackend, None]:
    """As it comes."""
    card = ModelCard("tiny", 0, "tests", CONTEXT)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(model, card, options, compute)) as backend,
    ):
        yield backend


@asynccontextmanager
async def guessing_freely(
    model: Path, options: LlamaOptions = OPTIONS
) -> AsyncGenerator[EngineBackend, None]:
    """With guesses as if they cost nothing, where there is what makes them."""
    async with opened(model, options) as backend:
        if scheduler_of(backend)._guesses._modelled is not None:
            scheduler_of(backend)._guesses.costs = CHEAP_ROWS
            drafter_of(backend).costs = FREE_OF_COST
        yield backend


def scheduler_of(backend: EngineBackend) -> Scheduler:
    scheduler = backend._engine._scheduler
    assert isinstance(scheduler, Scheduler)
    return scheduler


def drafter_of(backend: EngineBackend) -> DraftModel | MtpLayers:
    modelled = scheduler_of(backend)._guesses._modelled
    assert modelled is not None
    assert isinstance(modelled._drafter, DraftModel | MtpLayers)
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
