"""Text filled in by a model that has the marks for it, behind the real engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest
import pytest_asyncio

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.types import (
    ContextFile,
    FillInPrompt,
    GenerationRequest,
    MarkedText,
    Sampling,
    TextPrompt,
)
from tests.core.llm.tiny_models import PLAIN, byte_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKS = {name: byte_token(place) for place, name in enumerate(("fim_pre", "fim_suf", "fim_mid"), 1)}
OPTIONS = LlamaOptions(512, 4, max_queue=256, context=ContextOptions(1), kv_tokens=2048)
FILES = (ContextFile("a.h", "int a();\n" * 10),)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[EngineBackend, None]:
    path = PLAIN.write(tmp_path_factory.mktemp("fill-in"), special_tokens=MARKS)
    card = ModelCard("tiny", 0, "tests", OPTIONS.context_length)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(path, card, OPTIONS, compute)) as backend,
    ):
        yield backend


def asked(prefix: str, suffix: str = ")\n", *, bias: int | None = None) -> GenerationRequest:
    """Eight tokens; with `bias`, that token as often as it may be drawn."""
    sampling = Sampling(temperature=0, logit_bias=() if bias is None else ((bias, 100.0),))
    return GenerationRequest(FillInPrompt(prefix, suffix, FILES), 8, sampling)


def mostly_cached(answer: Completion) -> bool:
    usage = answer.finished.usage
    return usage.cached_tokens >= 0.9 * usage.prompt_tokens


async def complete(backend: EngineBackend, request: GenerationRequest) -> Completion:
    [answer] = await collect(fan_out(backend, [request]), 1)
    return answer


async def test_the_model_says_that_it_can(backend: EngineBackend) -> None:
    assert "fill_in" in backend.card.capabilities.abilities


@pytest.mark.parametrize("mark", MARKS.values())
async def test_an_answer_ends_where_the_model_would_begin_another(
    backend: EngineBackend, mark: int
) -> None:
    answer = await complete(backend, asked("f(", bias=mark))
    assert (answer.text, answer.finished.reason) == ("", "stop")


async def test_no_mark_is_drawn_where_no_end_may_be(backend: EngineBackend) -> None:
    request = replace(asked("f(", bias=MARKS["fim_mid"]), ignore_eos=True)
    answer = await complete(backend, request)
    assert answer.finished.usage.completion_tokens == 8
    assert "\x03" not in answer.text


async def test_marks_end_only_what_fills_in(backend: EngineBackend) -> None:
    request = replace(asked("", bias=MARKS["fim_mid"]), prompt=TextPrompt("f("))
    assert (await complete(backend, request)).finished.usage.completion_tokens == 8


async def test_the_next_keystroke_computes_only_what_comes_after_it(backend: EngineBackend) -> None:
    first = await complete(backend, asked("result = total("))
    second = await complete(backend, asked("result = total(x"))
    assert first.finished.usage.prompt_tokens + 1 == second.finished.usage.prompt_tokens
    assert mostly_cached(second)


async def test_200_cancelled_requests_leave_nothing_behind(backend: EngineBackend) -> None:
    """Cancelled at every stage: before its turn, in its prompt, in its answer."""
    whole = "result = total(" + "x" * 50
    await complete(backend, asked(whole))

    async def typed(length: int) -> None:
        request = replace(asked(whole[:length]), max_tokens=200, ignore_eos=True)
        async with aclosing(backend.generate(request)) as events:
            async for _ in events:
                pass

    for start in range(0, 200, 20):
        tasks = [asyncio.create_task(typed(15 + (start + n) % 50)) for n in range(20)]
        await asyncio.sleep(0.002 * (start // 20))
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError)
            for one in await asyncio.gather(*tasks, return_exceptions=True)
        )
    after = await complete(backend, asked(whole))
    [status] = backend.observe()
    assert (status.running, status.waiting) == (0, 0)
    assert mostly_cached(after)


async def test_a_model_without_marks_refuses_by_name(
    backend: EngineBackend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = PLAIN.write(tmp_path_factory.mktemp("no-marks"))
    card = ModelCard("tiny", 0, "tests", OPTIONS.context_length)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(path, card, OPTIONS, compute)) as other,
    ):
        assert "fill_in" not in other.card.capabilities.abilities
        with pytest.raises(UnsupportedParameterError, match="no fill-in tokens") as caught:
            await complete(other, asked("f("))
    assert caught.value.param == "suffix"


async def test_tokens_are_spelt_as_they_were_written(backend: EngineBackend) -> None:
    """One token a byte; control tokens are their texts."""
    given = await backend.tokenize(MarkedText("é</s>", adds_special=True, parses_special=True))
    assert given.pieces[0] == b"<s>"
    assert given.pieces[-1] == b"</s>"
    assert (await backend.detokenize(given.ids)).replace("▁", "") == "<s>é</s>"
    with pytest.raises(InvalidRequestError):
        await backend.detokenize([10_000])
