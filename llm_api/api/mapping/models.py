"""Model cards, domain to wire. Pure."""

from llm_api.api.models.models import Model, ModelCapabilities
from llm_api.api.models.server_info import ModelInfo
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.residency.plan import ModelState


def to_model(card: ModelCard, state: ModelState, is_pinned: bool = False) -> Model:
    """One entry of the models list."""
    file = card.file
    return Model(
        id=card.id,
        object="model",
        created=card.created,
        owned_by=card.owned_by,
        aliases=list(card.aliases),
        type="generation",
        backend=card.backend,
        capabilities=ModelCapabilities(
            abilities=sorted(card.capabilities.abilities),
            sampling=sorted(card.capabilities.sampling),
        ),
        context_length=card.context_length,
        size_bytes=None if file is None else file.size_bytes,
        quantisation=None if file is None else file.quantisation,
        parameters=None if file is None else file.parameter_count,
        pinned=is_pinned,
        loaded=state == "loaded",
        state=state,
    )


def to_model_info(card: ModelCard, state: ModelState) -> ModelInfo:
    """All that is known of a model."""
    file = card.file
    return ModelInfo(
        name=card.id,
        backend=card.backend,
        architecture=None if file is None else file.architecture,
        parameters=None if file is None else file.parameter_count,
        quantisation=None if file is None else file.quantisation,
        weights=card.weights,
        context_length=card.context_length,
        training_context_length=None if file is None else file.context_length,
        size_bytes=None if file is None else file.size_bytes,
        loaded=state == "loaded",
        state=state,
    )


def to_embedding_model(card: EmbedderCard, state: EmbedderState) -> Model:
    """The entry of an embedding model."""
    return Model(
        id=card.id,
        object="model",
        created=card.created,
        owned_by=card.owned_by,
        aliases=list(card.aliases),
        type="embedding",
        context_length=card.max_tokens,
        dimensions=card.dimension,
        tasks=list(card.tasks),
        loaded=state == "loaded",
        state=state,
    )
