"""Models whose files hold a hostile chat template, on the real engine."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.core.errors import InvalidRequestError, ModelFileError, UnavailableError
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.backends.engine_backend import ENCODERS
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.residency.keeper import KeptModel, ModelKeeper
from llm_api.core.llm.residency.plan import ResidencyLimits
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling
from tests.core.llm.tiny_models import PLAIN

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
ENDLESS_FOR_SOME = "{% if messages[0].content == 'Go' %}" + ENDLESS + "{% endif %}{{ messages }}"
OPTIONS = LlamaOptions(256, 2, max_queue=16, context=ContextOptions(1))


def card(name: str) -> ModelCard:
    return ModelCard(name, 0, "tests", 256)


async def ask(backend: Backend, text: str) -> int:
    """Completion tokens of an answer to this text."""
    prompt = ChatPrompt((Message("user", text),))
    request = GenerationRequest(prompt, 4, Sampling(temperature=0), ignore_eos=True)
    [completion] = await collect(fan_out(backend, [request]), 1)
    return completion.finished.usage.completion_tokens


async def test_a_model_with_a_hostile_template_is_refused_and_others_go_on(tmp_path: Path) -> None:
    hostile = PLAIN.write(tmp_path, ENDLESS)
    (tmp_path / "good").mkdir()
    good = PLAIN.write(tmp_path / "good")
    async with aclosing(ComputeThread()) as compute:
        keeper = ModelKeeper(
            [
                KeptModel(
                    card("hostile"), lambda: open_llama(hostile, card("hostile"), OPTIONS, compute)
                ),
                KeptModel(card("good"), lambda: open_llama(good, card("good"), OPTIONS, compute)),
            ],
            ResidencyLimits(),
        )
        async with aclosing(keeper), keeper.borrow("good") as backend:
            refused = asyncio.create_task(_borrow(keeper, "hostile"))
            answered = 0
            while not refused.done():
                assert await ask(backend, "Hello") == 4
                answered += 1
            with pytest.raises(UnavailableError) as refusal:
                await refused
            assert answered > 5
            assert "chat template takes too long" in refusal.value.message
            assert "\n" not in refusal.value.message
            assert isinstance(refusal.value.__cause__, ModelFileError)


async def _borrow(keeper: ModelKeeper, name: str) -> None:
    async with keeper.borrow(name):
        pass


async def test_slow_renderings_of_one_model_hold_no_thread_of_anybody_else(tmp_path: Path) -> None:
    path = PLAIN.write(tmp_path, ENDLESS_FOR_SOME)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(path, card("slow"), OPTIONS, compute)) as backend,
    ):
        slow = [asyncio.create_task(ask(backend, "Go")) for _ in range(4 * ENCODERS)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0) for _ in range(64)))
        assert not any(task.done() for task in slow)
        for task in slow[1:]:
            task.cancel()
        with pytest.raises(InvalidRequestError, match="takes too long"):
            await slow[0]
        await asyncio.gather(*slow, return_exceptions=True)


async def test_a_model_closes_in_the_midst_of_a_rendering(tmp_path: Path) -> None:
    path = PLAIN.write(tmp_path, ENDLESS_FOR_SOME)
    async with aclosing(ComputeThread()) as compute:
        backend = await open_llama(path, card("slow"), OPTIONS, compute)
        asked = [asyncio.create_task(ask(backend, "Go")) for _ in range(2 * ENCODERS)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await backend.aclose()
        assert time.monotonic() - began < 10.0
        for task in asked:
            with pytest.raises(UnavailableError):
                await task
        with pytest.raises(UnavailableError):
            await ask(backend, "Hello")
