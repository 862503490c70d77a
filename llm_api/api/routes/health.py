"""Health: is the process alive, and would it answer a question now."""

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.draining import draining_of
from llm_api.api.models.health import Health, Readiness, RequestLogHealth

SERVICE_NAME = "llm_api"

router = APIRouter(tags=["Health"])


@router.get("/health", summary="Is the server alive?")
async def health(request: Request, services: Services) -> Health:
    """Answers at once while the process lives, whatever the models do."""
    cards = services.models.cards()
    log = services.request_log
    return Health(
        status="healthy",
        service=SERVICE_NAME,
        version=request.app.version,
        backend=cards[0].backend,
        model=cards[0].id,
        models=[card.id for card in cards],
        timestamp=datetime.now(UTC),
        uptime_seconds=round(max(0.0, time.time() - services.started_at), 3),
        request_log=RequestLogHealth(problem=log.problem, dropped=log.dropped),
    )


@router.get(
    "/health/ready",
    summary="Would a generation be accepted?",
    responses={503: {"model": Readiness, "description": "Not yet, or not any more."}},
)
async def ready(request: Request, services: Services, response: Response) -> Readiness:
    """200 when every model that is loaded at the start answers, 503 with `Retry-After` before.

    503 as well once the server has been told to end, while it finishes what it has begun.
    """
    is_ready = services.is_ready and not draining_of(request.app).has_begun
    if not is_ready:
        response.status_code = 503
        response.headers["retry-after"] = "1"
    return Readiness(
        status="ready" if is_ready else "not_ready",
        models=[card.id for card in services.models.cards()],
    )
