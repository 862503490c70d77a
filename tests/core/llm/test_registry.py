from contextlib import aclosing

import pytest

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.llm.registry import ModelRegistry
from llm_api.core.llm.residency import ResidencyLimits
from llm_api.core.llm.types import GenerationRequest, TextPrompt
from tests.core.llm.fake_models import FakeModel, FakeTimer, settle

HELLO = GenerationRequest(TextPrompt("Hello"), 5)


async def test_models_go_by_id_and_by_alias() -> None:
    registry = ModelRegistry([FakeModel(name).kept() for name in "ab"])
    assert [card.id for card in registry.cards()] == ["a", "b"]
    assert registry.resolve("b-alias") is registry.resolve("b")
    assert registry.resolve("a").card.id == "a"
    await registry.aclose()


async def test_an_unknown_model_is_told_the_known_names() -> None:
    registry = ModelRegistry([FakeModel(name).kept() for name in "ab"])
    with pytest.raises(ModelNotFoundError, match="`a`, `b`, `a-alias`, `b-alias`"):
        registry.resolve("A")
    await registry.aclose()


async def test_a_request_loads_its_model_and_no_other() -> None:
    first, second = FakeModel("a"), FakeModel("b")
    registry = ModelRegistry([first.kept(), second.kept()])
    await settle()
    assert registry.state("a") == registry.state("b") == "unloaded"
    events = [event async for event in registry.resolve("b").generate(HELLO)]
    assert len(events) == 5
    assert (registry.state("a"), registry.state("b")) == ("unloaded", "loaded")
    await registry.aclose()
    assert second.opened[0].is_closed


async def test_an_aborted_answer_is_aborted_in_the_model_and_leaves_it_idle() -> None:
    model, timer = FakeModel("a"), FakeTimer()
    registry = ModelRegistry([model.kept()], ResidencyLimits(idle_seconds=1), timer)
    async with aclosing(registry.resolve("a").generate(HELLO)) as events:
        await anext(events)
        await timer.advance(10)
        assert registry.state("a") == "loaded"
    assert model.opened[0].aborted == [HELLO]
    await settle()
    await timer.advance(1)
    assert registry.state("a") == "unloaded"
    await registry.aclose()
