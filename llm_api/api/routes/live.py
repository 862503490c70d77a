"""What goes on now: `/v1/requests`, and `/v1/engine` for an administrator."""

import time
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path as FilePath
from resource import getpagesize
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from llm_api.api.deps import CallerServices, Services
from llm_api.api.docs import ERROR_RESPONSES, streamable
from llm_api.api.engine_watch import engine_watch_of
from llm_api.api.live_requests import LiveRequest, live_requests_of
from llm_api.api.mapping.live import (
    WatchedModel,
    to_ended_request,
    to_live_request,
    to_queue,
    to_watched_model,
)
from llm_api.api.models import live as wire
from llm_api.core.access.caller import Caller
from llm_api.core.errors import RequestNotFoundError
from llm_api.core.llm.observation import Observation

MAX_LISTED: Final = 200
_MEMORY: Final = FilePath("/proc/self/statm")

router = APIRouter(prefix="/v1", tags=["Health"], responses=ERROR_RESPONSES)


@router.get("/requests", summary="List the requests that are being answered")
async def list_requests(request: Request, services: Services) -> wire.LiveRequestList:
    """Those of this key that a model works for, and how far each is; for scope `admin`, of all.

    With several workers, those of the one that answers.
    """
    seen = [one for one in live_requests_of(request.app).all() if _may_see(services.caller, one)]
    now = datetime.now(UTC)
    return wire.LiveRequestList(
        object="list",
        worker=request.app.state.worker,
        data=[to_live_request(one, now) for one in seen[:MAX_LISTED]],
        has_more=len(seen) > MAX_LISTED,
    )


@router.get("/requests/{request_id}", summary="See how far a request is")
async def retrieve_request(
    request: Request, request_id: Annotated[str, Path(max_length=128)], services: Services
) -> wire.LiveRequest:
    """By the `x-request-id` of its answer. 404 once it has ended, and for another key's."""
    found = live_requests_of(request.app).find(request_id)
    if found is None or not _may_see(services.caller, found):
        raise RequestNotFoundError("No request of that id is being answered.")
    return to_live_request(found, datetime.now(UTC))


@router.get("/engine", summary="See what the engines do")
async def engine(request: Request, services: Services) -> wire.EngineSnapshot:
    """Models, slots, queues, requests and replicas at this moment. Takes the scope `admin`."""
    return _snapshot(request, services)


@router.get(
    "/engine/stream",
    summary="Watch what the engines do",
    response_class=Response,
    responses=streamable("The same object twice a second."),
)
async def watch_engine(
    request: Request,
    services: Services,
    snapshots: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="How many. Default: no end.")
    ] = None,
) -> Response:
    """Ends with its client, and when the server is told to end. A few may watch at a time."""
    watch = engine_watch_of(request.app)
    gather = partial(_snapshot, request, services)
    return watch.stream(gather, snapshots, request.app.state.ping_seconds)


def _may_see(caller: Caller, request: LiveRequest) -> bool:
    return "admin" in caller.key.scopes or (request.key_name or "") == caller.key.name


def _snapshot(request: Request, services: CallerServices) -> wire.EngineSnapshot:
    live = live_requests_of(request.app)
    requests, now = list(live.all()), datetime.now(UTC)
    observed: defaultdict[str, list[Observation]] = defaultdict(list)
    models = services.all_models()
    for model_id, observation in models.observe():
        observed[model_id].append(observation)
    watched = [
        WatchedModel(card, models.state(card.id), models.is_pinned(card.id), observed[card.id])
        for card in models.cards()
    ]
    return wire.EngineSnapshot(
        object="engine",
        time=round(now.timestamp(), 3),
        worker=request.app.state.worker,
        version=request.app.version,
        uptime_seconds=round(max(0.0, time.time() - services.shared.started_at), 3),
        memory_bytes=_resident_bytes(),
        models=[to_watched_model(model, requests) for model in watched],
        queue=to_queue(requests),
        requests=[to_live_request(one, now) for one in islice(requests, MAX_LISTED)],
        recent=[to_ended_request(one) for one in live.recent()],
    )


def _resident_bytes() -> int | None:
    """Memory of this process; None where the system does not tell."""
    try:
        return int(_MEMORY.read_text().split()[1]) * getpagesize()
    except OSError:
        return None
