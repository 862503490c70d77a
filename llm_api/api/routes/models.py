"""Models: what this server can be asked for by name."""

from typing import Annotated

from fastapi import APIRouter, Path

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.models import to_embedding_model, to_model
from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE
from llm_api.api.models.models import Model, ModelList
from llm_api.core.utils.model_names import meant

ModelPath = Annotated[str, Path(examples=[DEFAULT_MODEL_EXAMPLE])]

router = APIRouter(prefix="/v1", tags=["Models"], responses=ERROR_RESPONSES)


@router.get("/models", summary="List the models", response_model_exclude_unset=True)
async def list_models(services: Services) -> ModelList:
    """Every model of this server: those that generate, then those that embed."""
    models, embedders = services.models, services.embedders
    data = [
        to_model(card, models.state(card.id), models.is_pinned(card.id)) for card in models.cards()
    ]
    data += [to_embedding_model(card, embedders.state(card.id)) for card in embedders.cards()]
    return ModelList(object="list", data=data)


@router.get("/models/{model:path}", summary="Describe one model", response_model_exclude_unset=True)
async def retrieve_model(model: ModelPath, services: Services) -> Model:
    """A model by any name it answers to. Ids may contain `/`, percent-encoded or not."""
    models, embedders = services.models, services.embedders
    names = {card.id: card.aliases for card in models.cards()}
    found = meant(model, names | {card.id: card.aliases for card in embedders.cards()})
    for card in embedders.cards():
        if card.id == found:
            return to_embedding_model(card, embedders.state(card.id))
    known = models.card(found or model)
    return to_model(known, models.state(known.id), models.is_pinned(known.id))
