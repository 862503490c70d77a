"""Which embedder serves a model's name."""

from collections.abc import Sequence

from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState, OnDemandEmbedder
from llm_api.core.errors import ModelNotFoundError
from llm_api.core.utils.model_names import meant


class EmbedderRegistry:
    """Embedders by id and alias. Owns them: closing it frees them."""

    def __init__(self, embedders: Sequence[OnDemandEmbedder]) -> None:
        self._embedders = embedders

    def cards(self) -> list[EmbedderCard]:
        return [embedder.card for embedder in self._embedders]

    def state(self, model_id: str) -> EmbedderState:
        """Whether the model of this id, which exists, is in memory."""
        return self.resolve(model_id).state

    def resolve(self, name: str) -> OnDemandEmbedder:
        """The embedder that a name means (`utils/model_names`). Raises ModelNotFoundError."""
        by_id = {embedder.card.id: embedder for embedder in self._embedders}
        found = meant(name, {card.id: card.aliases for card in self.cards()})
        if found is not None:
            return by_id[found]
        known = ", ".join(f"`{card.id}`" for card in self.cards())
        raise ModelNotFoundError(
            f"The embedding model `{name}` does not exist or you do not have access to it."
            + (f" Known: {known}." if known else " This server has none: see EMBEDDING_BACKEND."),
            param="model",
        )

    def default(self) -> OnDemandEmbedder:
        """What embeds where nobody names a model. Raises ModelNotFoundError without any."""
        if not self._embedders:
            raise ModelNotFoundError("No embedding model is configured: EMBEDDING_BACKEND is none.")
        return self._embedders[0]

    async def aclose(self) -> None:
        for embedder in self._embedders:
            await embedder.aclose()
