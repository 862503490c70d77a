"""Models: what this server can be asked for by name."""

from fastapi import APIRouter

from llm_api.api.deps import Services
from llm_api.api.mapping.models import to_model
from llm_api.api.models.models import Model, ModelList
from llm_api.api.routes.responses import ERROR_RESPONSES

router = APIRouter(prefix="/v1", tags=["Models"], responses=ERROR_RESPONSES)


@router.get("/models", summary="List the models")
async def list_models(services: Services) -> ModelList:
    """Every model of this server, in the order it was configured."""
    models = services.models
    data = [to_model(card, models.state(card.id)) for card in models.cards()]
    return ModelList(object="list", data=data)


@router.get("/models/{model:path}", summary="Describe one model")
async def retrieve_model(model: str, services: Services) -> Model:
    """A model by its id or one of its aliases. Ids may contain `/`, percent-encoded or not."""
    card = services.models.resolve(model).card
    return to_model(card, services.models.state(card.id))
