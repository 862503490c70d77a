"""Legacy completions: `POST /v1/completions`."""

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, answer, new_head
from llm_api.api.deps import Services
from llm_api.api.docs import streamable
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.completions import CompletionAnswerWriter, to_completion_requests
from llm_api.api.models.completions import Completion, CompletionRequest
from llm_api.api.progress_frames import ASKED

router = APIRouter(prefix="/v1", tags=["Completions"], route_class=JSONBodyRoute)


@router.post(
    "/completions",
    summary="Continue a text",
    response_model=Completion,
    responses=streamable("The answer, or with `stream` its chunks."),
)
async def create_completion(
    request: Request, body: CompletionRequest, services: Services
) -> Response:
    """Continue raw text or token ids, in the form of OpenAI's older API."""
    context = services.context(is_streamed=body.is_streamed, is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    requests = to_completion_requests(body, backend.card.defaults)
    telling = ASKED if body.return_progress else None
    generation = Generation(context, backend, requests, body.choices_per_prompt, telling)

    def writer(model: str) -> CompletionAnswerWriter:
        return CompletionAnswerWriter(new_head("cmpl", model, request.app.version), body)

    return await answer(request, generation, writer)
