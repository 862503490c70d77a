"""Model cards, domain to wire: tables."""

from dataclasses import replace

import pytest

from llm_api.api.mapping.models import to_embedding_model, to_model, to_model_info
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.residency.plan import ModelState

CARD = ModelCard(
    "m",
    7,
    "us",
    2048,
    aliases=("default",),
    backend="openai",
    capabilities=Capabilities(frozenset({"text", "chat"}), frozenset({"top_p", "seed"})),
)
EMBEDDER = EmbedderCard("e", 8, "them", ("small",), dimension=384, max_tokens=512, tasks=("query",))
STATES: list[ModelState] = ["unloaded", "loading", "loaded", "unloading", "failed"]
EMBEDDER_STATES: list[EmbedderState] = ["unloaded", "loading", "loaded", "failed"]


def test_model_says_what_its_backend_honours() -> None:
    model = to_model(CARD, "loaded")
    assert (model.id, model.created, model.owned_by, model.aliases) == ("m", 7, "us", ["default"])
    assert (model.type, model.backend, model.context_length) == ("generation", "openai", 2048)
    assert model.capabilities is not None
    assert model.capabilities.abilities == ["chat", "text"]
    assert model.capabilities.sampling == ["seed", "top_p"]
    assert not {"dimensions", "tasks"} & model.model_fields_set


def test_embedding_model_says_what_it_embeds() -> None:
    model = to_embedding_model(EMBEDDER, "loaded")
    assert (model.id, model.created, model.owned_by, model.aliases) == ("e", 8, "them", ["small"])
    assert (model.type, model.dimensions, model.context_length) == ("embedding", 384, 512)
    assert model.tasks == ["query"]
    assert not {"backend", "capabilities"} & model.model_fields_set


@pytest.mark.parametrize("state", STATES)
def test_only_a_loaded_model_is_loaded(state: ModelState) -> None:
    for answer in (to_model(CARD, state), to_model_info(CARD, state)):
        assert (answer.state, answer.loaded) == (state, state == "loaded")


@pytest.mark.parametrize("state", EMBEDDER_STATES)
def test_only_a_loaded_embedder_is_loaded(state: EmbedderState) -> None:
    answer = to_embedding_model(EMBEDDER, state)
    assert (answer.state, answer.loaded) == (state, state == "loaded")


def test_model_without_a_file_has_nulls_in_full() -> None:
    info = to_model_info(replace(CARD, file=None), "loaded")
    unknown = {name for name, value in info.model_dump().items() if value is None}
    assert unknown == {
        "architecture",
        "parameters",
        "quantisation",
        "weights",
        "training_context_length",
        "size_bytes",
    }
