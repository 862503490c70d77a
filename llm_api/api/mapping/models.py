"""Model cards, domain to wire. Pure."""

from llm_api.api.models.models import Model
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
        context_length=card.context_length,
        loaded=state == "loaded",
        state=state,
    )
