"""What the settings say of the response cache."""

import pytest

from llm_api.assembly.models import open_response_cache
from llm_api.config.settings import ConfigurationError, load_settings
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import (
    CacheUse,
    GenerationRequest,
    RequestContext,
    Sampling,
    Started,
    TextPrompt,
)
from scripts.bench.process import free_port
from tests.fakes import FakeBackend
from tests.redis_server import url_of

GREEDY = GenerationRequest(
    TextPrompt("Hi"), 5, Sampling(temperature=0), context=RequestContext(may_be_cached=True)
)


async def test_nothing_is_kept_unless_the_settings_say_so() -> None:
    async with open_response_cache(load_settings()) as wrap:
        assert wrap is None


@pytest.mark.parametrize(("kind", "uses"), [("memory", ["miss", "hit"]), ("redis", ["miss"] * 2)])
async def test_answers_are_kept_where_the_settings_say(kind: str, uses: list[str]) -> None:
    """Here nothing listens where Redis should."""
    settings = load_settings(response_cache=kind, redis_url=url_of(free_port()))
    async with open_response_cache(settings) as wrap:
        assert wrap is not None
        backend = wrap(FakeBackend())
        found = [await cache_use(backend) for _ in uses]
    assert found == uses


async def cache_use(backend: Backend) -> CacheUse | None:
    """What the answer to GREEDY says of the cache."""
    first, *_ = [event async for event in backend.generate(GREEDY)]
    assert isinstance(first, Started)
    return None if first.served_by is None else first.served_by.cache


def test_redis_needs_an_address() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(response_cache="redis")
    assert str(caught.value) == "RESPONSE_CACHE: redis needs REDIS_URL"
