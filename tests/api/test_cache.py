"""The computed prefixes that are kept: an administrator sees whose they are, and deletes them."""

import pytest

from llm_api.core.access.keys import SCOPES, USER_SCOPES
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.prefix_cache import CacheLimits, PrefixCache
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from tests.api.keyed import api_key, keyed_app, talking_to
from tests.core.llm.prefix_cache.states import keep, tokens_of
from tests.fakes import FakeServices


@pytest.fixture
def kept(services: FakeServices) -> FakeServices:
    services.prefix_cache = PrefixCache(CacheLimits(10_000), clock=iter(range(9)).__next__)
    services.prefix_cache.models["print"] = "small"
    prefixes = ModelPrefixes(services.prefix_cache, "print", 1000)
    for seed, scope in enumerate((PINNED_SCOPE, "ruby", "azure#rights\0adapter")):
        assert keep(prefixes, tokens_of(100, seed), 1000, scope, retention="24h" if seed else None)
    return services


async def test_an_administrator_sees_and_deletes_what_is_kept(kept: FakeServices) -> None:
    app = keyed_app(kept, api_key(name="root", secret="x", scopes=SCOPES))
    async with talking_to(app, x_api_key="x") as root:
        listed = (await root.get("/v1/cache")).json()
        assert [one["key"] for one in listed["data"]] == ["azure", "ruby", None]
        assert listed["tiers"] == [{"name": "ram", "used_bytes": 3000, "room_bytes": 10_000}]
        assert listed["data"][1] == {
            "object": "cache.prefix",
            "key": "ruby",
            "model": "small",
            "fingerprint": "print",
            "tokens": 100,
            "bytes": 1000,
            "tiers": ["ram"],
            "pinned": False,
            "retention": "24h",
            "last_used": 1,
        }
        of_one = (await root.delete("/v1/cache", params={"key": "azure"})).json()
        assert of_one == {"object": "cache.deleted", "deleted": 1, "bytes": 1000}
        assert (await root.delete("/v1/cache")).json()["deleted"] == 1
        left = (await root.get("/v1/cache")).json()["data"]
        assert [one["pinned"] for one in left] == [True]


async def test_nobody_else_does(kept: FakeServices) -> None:
    app = keyed_app(kept, api_key(name="ruby", secret="r", scopes=USER_SCOPES))
    async with talking_to(app, x_api_key="r") as ruby:
        assert (await ruby.get("/v1/cache")).status_code == 403
        assert (await ruby.delete("/v1/cache")).status_code == 403
    assert len(list(kept.prefix_cache.index)) == 3
