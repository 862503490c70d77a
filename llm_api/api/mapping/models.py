"""Model cards, domain to wire. Pure."""

from llm_api.api.models.models import Model
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.residency import ModelState


def to_model(card: ModelCard, state: ModelState) -> Model:
    """One entry of the models list."""
    return Model(
        id=card.id,
        object="model",
        created=card.created,
        owned_by=card.owned_by,
        aliases=list(card.aliases),
        type="generation",
        context_length=card.context_length,
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
