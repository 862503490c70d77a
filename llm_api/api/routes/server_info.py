"""What this server runs, and how it is: `/model-info`, `/config`, `/health`, `/metrics`."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.draining import draining_of
from llm_api.api.mapping.models import to_model_info
from llm_api.api.models.base import ModelName
from llm_api.api.models.server_info import (
    Configuration,
    Health,
    ModelInfo,
    Readiness,
    RequestLogHealth,
)

SERVICE_NAME = "llm_api"

router = APIRouter()
descriptions = APIRouter(tags=["Plain"], responses=ERROR_RESPONSES)
watching = APIRouter(tags=["Health"])


@descriptions.get("/model-info", summary="Describe the model in full")
async def model_info(
    services: Services,
    model: Annotated[
        ModelName | None, Query(description="A model's id or alias. Default: the first.")
    ] = None,
) -> ModelInfo:
    """Its size and shape, and whether it is in memory. Null is what its backend does not tell."""
    card = services.models.card(model)
    return to_model_info(card, services.models.state(card.id))


@descriptions.get("/config", summary="Show the settings that hold", response_model=Configuration)
async def configuration(services: Services) -> Any:
    """Every setting, and what the configuration file says of models and MCP servers.

    Secrets are `***`; of a URL only scheme, host and port are shown.
    """
    return services.shared.configuration


@watching.get("/health", summary="Is the server alive?")
async def health(request: Request, services: Services) -> Health:
    """Answers at once while the process lives, whatever the models do."""
    cards = services.models.cards()
    log = services.shared.request_log
    return Health(
        status="healthy",
        service=SERVICE_NAME,
        version=request.app.version,
        backend=cards[0].backend,
        model=cards[0].id,
        models=[card.id for card in cards],
        timestamp=datetime.now(UTC),
        uptime_seconds=round(max(0.0, time.time() - services.shared.started_at), 3),
        request_log=RequestLogHealth(problem=log.problem, dropped=log.dropped),
    )


@watching.get(
    "/health/ready",
    summary="Would a generation be accepted?",
    responses={503: {"model": Readiness, "description": "Not yet, or not any more."}},
)
async def ready(request: Request, services: Services, response: Response) -> Readiness:
    """200 when every model that is loaded at the start answers, 503 with `Retry-After` before.

    503 as well once the server has been told to end, while it finishes what it has begun.
    """
    is_ready = services.shared.is_ready and not draining_of(request.app).has_begun
    if not is_ready:
        response.status_code = 503
        response.headers["retry-after"] = "1"
    return Readiness(
        status="ready" if is_ready else "not_ready",
        models=[card.id for card in services.models.cards()],
    )


@watching.get(
    "/metrics",
    summary="What is going on?",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Counts and times since the start, in Prometheus' text format or in OpenMetrics'.

    With several workers, those of each, told apart by the label `worker`.
    """
    accept = request.headers.get("accept", "")
    text, content_type = await request.app.state.exposition.render(accept)
    return Response(text, media_type=content_type)


router.include_router(descriptions)
router.include_router(watching)
