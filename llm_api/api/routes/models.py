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
    return ModelList(object="list", data=[to_model(card) for card in services.models.cards()])


@router.get("/models/{model:path}", summary="Describe one model")
async def retrieve_model(model: str, services: Services) -> Model:
    """A model by its id or one of its aliases. Ids may contain `/`, percent-encoded or not."""
    return to_model(services.models.resolve(model).card)
