from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    ModelFileError,
    ModelNotFoundError,
    UnsupportedParameterError,
)
from llm_api.core.llm.backend import OwnedBackend
from llm_api.core.llm.capabilities import ADAPTABLE
from llm_api.core.llm.observation import EngineStatus
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.residency.plan import ResidencyLimits
from llm_api.core.llm.types import Adapter, GenerationRequest, ServedBy, Started, TextPrompt
from llm_api.core.utils.distribution import Distribution
from tests.core.llm.fake_models import ClosableBackend, FakeModel, FakeTimer, settle
from tests.fakes import CARD

STATUS = EngineStatus(0, 0, Distribution(()), Distribution(()), 0, None)
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
        registry.resolve("c")
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


async def test_a_backend_is_there_from_the_start_and_closed_at_the_end() -> None:
    resident = ClosableBackend(card=replace(CARD, id="r", aliases=("ra",)))
    registry = ModelRegistry([FakeModel("a").kept(), resident, FakeModel("b").kept()])
    assert [card.id for card in registry.cards()] == ["a", "r", "b"]
    assert (registry.state("r"), registry.is_ready) == ("loaded", True)
    assert registry.resolve("ra") is resident
    await registry.aclose()
    assert resident.is_closed


async def test_what_was_loaded_knows_its_card_better_even_once_it_is_gone() -> None:
    model = FakeModel("a")
    loaded = replace(model.kept().card, context_length=7)
    kept = replace(model.kept(), open=lambda: opened(ClosableBackend(card=loaded)))
    timer = FakeTimer()
    registry = ModelRegistry([kept], ResidencyLimits(idle_seconds=1), timer)
    assert registry.cards()[0].context_length == 2048
    [_ async for _ in registry.resolve("a").generate(HELLO)]
    await settle()
    await timer.advance(1)
    assert registry.state("a") == "unloaded"
    assert registry.cards() == [loaded]
    await registry.aclose()


async def opened(backend: OwnedBackend) -> OwnedBackend:
    return backend


async def test_models_stand_in_for_others_whether_kept_or_not() -> None:
    broken = FakeModel("a", failures=[ModelFileError("no file")])
    also_broken = FakeModel("b", failures=[ModelFileError("no file")])
    resident = ClosableBackend(card=replace(CARD, id="r", backend="stub"))
    registry = ModelRegistry(
        [broken.kept(), also_broken.kept(), resident], fallbacks={"a": ["b"], "b": ["r"]}
    )
    assert registry.resolve("a-alias").card.id == "a"
    [started, *_] = [event async for event in registry.resolve("a-alias").generate(HELLO)]
    assert started == Started(5, ServedBy("stub", fallback="r"))
    await registry.aclose()


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


async def test_models_in_memory_are_observed_by_their_id() -> None:
    first, second = FakeModel("a"), FakeModel("b")
    registry = ModelRegistry([first.kept(), second.kept()])
    assert list(registry.observe()) == []
    assert [event async for event in registry.resolve("b").generate(HELLO)]
    assert list(registry.observe()) == []
    second.opened[0].observations = [STATUS]
    assert list(registry.observe()) == [("b", STATUS)]
    await registry.aclose()
    assert list(registry.observe()) == []


async def test_model_that_is_added_takes_no_name_from_those_before() -> None:
    first, later = FakeModel("tiny.Q4_K_M"), FakeModel("tiny.Q8_0")
    async with aclosing(ModelRegistry([first.kept()])) as registry:
        registry.add(later.kept())
        names = {name: registry.resolve(name).card.id for name in ("tiny", "Tiny.Q8_0.gguf")}
        assert names == {"tiny": "tiny.Q4_K_M", "Tiny.Q8_0.gguf": "tiny.Q8_0"}
        assert registry.resolve("tiny.Q8_0-alias").card.id == "tiny.Q8_0"


async def test_request_that_has_found_a_model_hears_that_it_is_gone() -> None:
    later = FakeModel("b")
    async with aclosing(ModelRegistry([FakeModel("a").kept()])) as registry:
        registry.add(later.kept())
        found = registry.resolve("b")
        registry.remove("b")
        assert found.card.id == "b"
        with pytest.raises(ModelNotFoundError, match="deleted"):
            await found.count_tokens(["Hello"])
        with pytest.raises(ModelNotFoundError, match="does not exist"):
            registry.resolve("b")
    assert later.loads == 0


async def test_name_that_was_given_counts_as_an_alias_unless_it_is_a_model_s_own() -> None:
    given = {"gpt-4": "a", "b": "a", "gone": "deleted"}
    models = [FakeModel(name).kept() for name in "ab"]
    async with aclosing(ModelRegistry(models, given=lambda: given)) as registry:
        assert registry.resolve("gpt-4").card.aliases == ("a-alias", "gpt-4", "b")
        assert registry.resolve("b").card.id == "b"
        with pytest.raises(ModelNotFoundError, match="gpt-4"):
            registry.resolve("gone")


async def test_what_takes_no_memory_is_loaded_and_cannot_be_unloaded() -> None:
    resident = ClosableBackend(card=replace(CARD, id="r"))
    async with aclosing(ModelRegistry([resident])) as registry:
        await registry.load("r", is_pinned=True)
        assert not registry.is_pinned("r")
        with pytest.raises(InvalidRequestError, match="nothing to unload"):
            await registry.unload("r", 1)


def adaptable(name: str = "a", adapters: tuple[str, ...] = ("poet", "terse")) -> FakeModel:
    """A model that was given adapters."""
    model = FakeModel(name)
    card = replace(
        model.kept().card,
        adapters=tuple(Adapter(one, 0.5) for one in adapters),
        capabilities=ADAPTABLE,
    )
    model.kept = lambda: replace(FakeModel.kept(model), card=card)  # type: ignore[method-assign]
    return model


async def test_each_adapter_is_a_model_of_its_own() -> None:
    registry = ModelRegistry([adaptable().kept(), FakeModel("b").kept()])
    assert [card.id for card in registry.cards()] == ["a", "a:poet", "a:terse", "b"]
    for name in ("a:poet", "a-alias:poet", "A:Poet"):
        assert registry.resolve(name).card.id == "a:poet"
    assert "adapters" not in registry.resolve("a:poet").card.capabilities.abilities
    await registry.aclose()


async def test_a_model_with_an_adapter_is_in_memory_when_its_model_is() -> None:
    model = adaptable()
    registry = ModelRegistry([model.kept()])
    assert registry.state("a:poet") == "unloaded"
    events = [event async for event in registry.resolve("a:poet").generate(HELLO)]
    assert (len(events), model.loads) == (5, 1)
    assert registry.state("a:poet") == registry.state("a") == "loaded"
    await registry.unload("a:poet", 1)
    assert registry.state("a") == "unloaded"
    await registry.load("a:poet", is_pinned=True)
    assert registry.is_pinned("a:poet")
    await registry.aclose()


async def test_the_model_is_asked_for_its_adapter_and_no_other() -> None:
    backend = ClosableBackend(
        card=replace(CARD, id="a", adapters=(Adapter("poet", 0.5),), capabilities=ADAPTABLE)
    )
    registry = ModelRegistry([backend])
    adapted = registry.resolve("a:poet")
    async for _ in adapted.generate(HELLO):
        pass
    assert backend.requests[-1].adapters == (Adapter("poet"),)
    with pytest.raises(UnsupportedParameterError, match="lora"):
        await anext(aiter(adapted.generate(replace(HELLO, adapters=(Adapter("poet"),)))))
    await registry.aclose()
