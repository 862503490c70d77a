"""Requests of a backend are counted while they run, but for those of idle work."""

from contextlib import aclosing

import pytest

from llm_api.core.llm.gateway.counted import CountedBackend
from llm_api.core.llm.types import GenerationRequest, RequestContext, TextPrompt
from llm_api.core.utils.traffic import Traffic
from tests.fakes import FakeBackend


class Counting(Traffic):
    """Traffic that tells how much there is."""

    @property
    def running(self) -> int:
        return self._running


@pytest.mark.parametrize("is_idle", [False, True])
async def test_request_is_counted_from_its_first_event_to_its_end(is_idle: bool) -> None:
    traffic = Counting()
    backend = CountedBackend(FakeBackend(), traffic)
    request = GenerationRequest(TextPrompt("x"), 9, context=RequestContext(is_idle=is_idle))
    async with aclosing(backend.generate(request)) as events:
        await anext(events)
        assert traffic.running == (not is_idle)
    assert traffic.running == 0
