"""What this server runs, and how: `/model-info` and `/config`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from llm_api.api.deps import Services, backend_of
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.models import to_model_info
from llm_api.api.models.base import ModelName
from llm_api.api.models.server_info import Configuration, ModelInfo

router = APIRouter(tags=["Plain"], responses=ERROR_RESPONSES)


@router.get("/model-info", summary="Describe the model in full")
async def model_info(
    services: Services,
    model: Annotated[
        ModelName | None, Query(description="A model's id or alias. Default: the first.")
    ] = None,
) -> ModelInfo:
    """Its size and shape, and whether it is in memory. Null is what its backend does not tell."""
    card = backend_of(services, model).card
    return to_model_info(card, services.models.state(card.id))


@router.get("/config", summary="Show the settings that hold", response_model=Configuration)
async def configuration(services: Services) -> Any:
    """Every setting, and what the configuration file says of models and MCP servers.

    Secrets are `***`; of a URL only scheme, host and port are shown.
    """
    return services.configuration
