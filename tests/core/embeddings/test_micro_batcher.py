import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from llm_api.core.embeddings import micro_batcher
from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderText, Pause
from llm_api.core.embeddings.micro_batcher import MicroBatcher
from llm_api.core.errors import EmbeddingError, OverloadedError, UnavailableError
from llm_api.core.utils.tokens import TokenMeter


@dataclass
class Model:
    """Computes a batch only when told to. A text's vector is its own length and number."""

    batches: list[list[str]] = field(default_factory=list)
    permits: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    failing: str = ""

    def encode(self, texts: Sequence[EncoderText], _adapter: str | None, _pause: Pause) -> Vectors:
        self.batches.append([text.text for text in texts])
        if self.failing in self.batches[-1]:
            raise RuntimeError("broken")
        return np.array([[len(text.ids), float(text.text)] for text in texts], dtype=np.float32)

    async def compute(self, function: Callable[[], Vectors]) -> Vectors:
        await self.permits.acquire()
        return function()


def texts(*numbers: int, length: int = 10) -> list[EncoderText]:
    return [EncoderText(str(number), [0] * length) for number in numbers]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def opened(model: Model, budget: int = 100) -> AsyncGenerator[MicroBatcher, None]:
    batcher = MicroBatcher(model.encode, model.compute, budget)
    try:
        yield batcher
    finally:
        model.permits.release()
        await batcher.aclose()


async def test_requests_that_wait_together_share_a_batch_and_get_their_own() -> None:
    model = Model()
    async with opened(model) as batcher:
        first = asyncio.create_task(batcher.encode(texts(0), None))
        await settle()
        others = [asyncio.create_task(batcher.encode(texts(n, n + 50), None)) for n in (1, 2, 3)]
        await settle()
        for _ in range(2):
            model.permits.release()
        assert (await first).tolist() == [[10, 0]]
        for n, other in zip((1, 2, 3), others, strict=True):
            assert (await other).tolist() == [[10, n], [10, n + 50]]
    assert model.batches[0] == ["0"]
    assert sorted(model.batches[1], key=int) == ["1", "2", "3", "51", "52", "53"]


async def test_a_query_waits_for_one_batch_of_a_long_request() -> None:
    model = Model()
    async with opened(model) as batcher:
        bulk = asyncio.create_task(batcher.encode(texts(*range(100)), None))
        await settle()
        query = asyncio.create_task(batcher.encode(texts(1000), None))
        await settle()
        for _ in range(2):
            model.permits.release()
        assert (await query).tolist() == [[10, 1000]]
        assert [len(batch) for batch in model.batches] == [10, 1]
        for _ in range(9):
            model.permits.release()
        assert (await bulk)[:, 1].tolist() == list(range(100))


async def test_a_request_that_is_cancelled_drops_what_is_not_computed() -> None:
    model = Model()
    async with opened(model) as batcher:
        meter = TokenMeter()
        bulk = asyncio.create_task(batcher.encode(texts(*range(30)), None, meter))
        await settle()
        bulk.cancel()
        await settle()
        assert meter.tokens == 10 * 10, "the batch that runs is computed all the same"
        model.permits.release()
        other = asyncio.create_task(batcher.encode(texts(77), None))
        model.permits.release()
        assert (await other).tolist() == [[10, 77]]
        assert [len(batch) for batch in model.batches] == [10, 1]


async def test_a_batch_that_fails_fails_its_requests_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Model(failing="3")
    async with opened(model) as batcher:
        for _ in range(4):
            model.permits.release()
        with pytest.raises(EmbeddingError):
            await batcher.encode(texts(*range(30)), None)
        assert (await batcher.encode(texts(50), None)).tolist() == [[10, 50]]
    assert "a batch of 10 texts failed" in caplog.text


async def test_closing_ends_what_waits_and_what_comes() -> None:
    model = Model()
    async with opened(model) as batcher:
        waiting = [asyncio.create_task(batcher.encode(texts(n), str(n))) for n in range(3)]
        await settle()
    assert (await waiting[0]).tolist() == [[10, 0]]
    for task in waiting[1:]:
        with pytest.raises(UnavailableError):
            await task
    with pytest.raises(UnavailableError):
        await batcher.encode(texts(1), None)


async def test_too_much_waiting_is_refused_with_the_time_it_takes() -> None:
    model = Model()
    seconds = iter([0.0, 2.0])
    batcher = MicroBatcher(model.encode, model.compute, 100, clock=lambda: next(seconds, 3.0))
    model.permits.release()
    await batcher.encode(texts(1, length=100), None)  # 100 tokens in 2 seconds
    limit = micro_batcher.MAX_WAITING_TOKENS
    long = asyncio.create_task(batcher.encode(texts(1, 2, 3, length=limit), None))
    await settle()
    with pytest.raises(OverloadedError) as caught:
        await batcher.encode(texts(4), None)
    assert caught.value.retry_after_seconds == 2 * limit / 50
    long.cancel()
    model.permits.release()
    await batcher.aclose()


async def test_a_query_is_computed_in_a_pause_of_a_long_request() -> None:
    """The long request pauses, on its own thread, until the query is there and computed."""
    batches: list[tuple[str, int]] = []

    def encode(texts: Sequence[EncoderText], _adapter: str | None, pause: Pause) -> Vectors:
        batches.append(("begun", len(texts)))
        while len(batches) < 2:  # until the query has come in between
            pause()
        batches.append(("done", len(texts)))
        return np.array([[float(text.text)] for text in texts], dtype=np.float32)

    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        batcher = MicroBatcher(encode, partial(loop.run_in_executor, thread), 100)
        bulk = asyncio.create_task(batcher.encode(texts(*range(20)), None))
        await asyncio.sleep(0.01)
        query = await batcher.encode(texts(99), None)
        assert query.tolist() == [[99]]
        assert (await bulk)[:, 0].tolist() == list(range(20))
        await batcher.aclose()
    assert batches[:4] == [("begun", 10), ("begun", 1), ("done", 1), ("done", 10)]


async def test_a_failure_in_a_pause_is_the_querys_alone(caplog: pytest.LogCaptureFixture) -> None:
    def encode(texts: Sequence[EncoderText], _adapter: str | None, pause: Pause) -> Vectors:
        if texts[0].text == "99":
            raise RuntimeError("broken")
        time.sleep(0.02)
        pause()
        return np.array([[float(text.text)] for text in texts], dtype=np.float32)

    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        batcher = MicroBatcher(encode, partial(loop.run_in_executor, thread), 100)
        bulk = asyncio.create_task(batcher.encode(texts(*range(20)), None))
        await asyncio.sleep(0.005)
        with pytest.raises(EmbeddingError):
            await batcher.encode(texts(99), None)
        assert (await bulk)[:, 0].tolist() == list(range(20))
        await batcher.aclose()
    assert "a batch of 1 texts failed" in caplog.text
