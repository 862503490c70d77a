import asyncio
from dataclasses import dataclass, field, replace

import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest
from llm_api.core.embeddings.local import LocalEmbedder, LocalOptions
from llm_api.core.embeddings.on_demand import PAUSE_SECONDS, OnDemandEmbedder
from llm_api.core.errors import ModelFileError, UnavailableError
from tests.core.embeddings.fake_encoder import CARD, FakeEncoder, here

REQUEST = EmbeddingRequest(["a"])


@dataclass
class Opening:
    """Opens when told to; fails first, if told to."""

    failure: Exception | None = None
    count: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)

    async def __call__(self) -> LocalEmbedder:
        self.count += 1
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return LocalEmbedder(CARD, self.encoder, here, LocalOptions())


async def test_the_first_request_opens_and_those_who_wait_share_it() -> None:
    opening = Opening()
    embedder = OnDemandEmbedder(CARD, opening)
    assert (embedder.state, embedder.card) == ("unloaded", CARD)
    waiting = [asyncio.create_task(embedder.embed(REQUEST)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert embedder.state == "loading"
    waiting[0].cancel()
    opening.go.set()
    for task in waiting[1:]:
        assert (await task).tokens == 3
    assert (opening.count, embedder.state) == (1, "loaded")
    assert embedder.card == replace(CARD, dimension=8, max_tokens=32, tasks=("query",))
    await embedder.aclose()
    assert opening.encoder.is_closed


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(ModelFileError("There is no such model."), "There is no such model."),
     (ModelFileError("/srv/private/m cannot be read."), "m cannot be read."),
     (RuntimeError("private"), "the log says why.")],
)  # fmt: skip
async def test_a_failure_is_told_at_once_for_a_while_and_then_tried_again(
    failure: Exception, reason: str
) -> None:
    opening = Opening(failure)
    opening.go.set()
    now = 100.0
    embedder = OnDemandEmbedder(CARD, opening, clock=lambda: now)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            await embedder.embed(REQUEST)
        assert caught.value.message.endswith(f"could not be loaded: {reason}")
        assert caught.value.retry_after_seconds == PAUSE_SECONDS
    assert (opening.count, embedder.state) == (1, "failed")
    now += PAUSE_SECONDS
    opening.failure = None
    assert (await embedder.embed(REQUEST)).tokens == 3
    assert opening.count == 2
    await embedder.aclose()


async def test_closing_waits_for_an_opening_and_refuses_what_comes() -> None:
    opening = Opening()
    embedder = OnDemandEmbedder(CARD, opening)
    waiting = asyncio.create_task(embedder.embed(REQUEST))
    await asyncio.sleep(0)
    closing = asyncio.create_task(embedder.aclose())
    await asyncio.sleep(0)
    opening.go.set()
    await closing
    assert opening.encoder.is_closed
    with pytest.raises(UnavailableError):
        await embedder.embed(REQUEST)
    await asyncio.gather(waiting, return_exceptions=True)
