"""Text to fill in, for editors: `POST /infill`."""

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, answer
from llm_api.api.deps import Services
from llm_api.api.docs import streamable
from llm_api.api.json_body import BearingRoute
from llm_api.api.mapping.infill import InfillWriter, to_infill_request
from llm_api.api.models.infill import ChosenFields, InfillAnswer, InfillRequest
from llm_api.api.progress_frames import ASKED
from llm_api.api.stream_forms import SSE

UNTIL_STOP: Final = replace(SSE, ending=b"")
"""The last frame says `stop`, and nothing comes after it."""

router = APIRouter(tags=["Completions"], route_class=BearingRoute)


@router.post(
    "/infill",
    summary="Fill in text between two others",
    response_model=InfillAnswer | ChosenFields,
    responses=streamable("The text, or with `stream` its frames."),
)
async def infill(request: Request, body: InfillRequest, services: Services) -> Response:
    """What a model with fill-in tokens writes at the cursor, in the form of llama.cpp's server.

    Prefix and suffix are a window around the cursor: what does not fit is left out, the farthest
    first. What a request shares with the one before it is not computed again, and one that its
    client leaves ends at once.
    """
    context = services.context(is_streamed=bool(body.stream), is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    asked = to_infill_request(body, backend.card.defaults)

    def writer(model: str) -> InfillWriter:
        return InfillWriter(model, body.response_fields)

    telling = ASKED if body.return_progress else None
    generation = Generation(context, backend, [asked], telling=telling)
    return await answer(request, generation, writer, UNTIL_STOP)
