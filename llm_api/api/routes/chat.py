"""Chat completions: `POST /v1/chat/completions`."""

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, answer, new_head
from llm_api.api.deps import Services
from llm_api.api.docs import streamable
from llm_api.api.given_files import GivenFiles
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.chat import to_chat_requests
from llm_api.api.mapping.chat_answers import ChatAnswerWriter
from llm_api.api.mapping.generation import required
from llm_api.api.mapping.rag.chat import to_rag_options
from llm_api.api.mapping.tools import to_server_functions
from llm_api.api.models.chat import ChatCompletion, ChatCompletionRequest
from llm_api.api.models.messages import ContentPart
from llm_api.api.progress_frames import ASKED
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.rag.answering.answer import RagBackend

router = APIRouter(prefix="/v1", tags=["Chat"], route_class=JSONBodyRoute)


@router.post(
    "/chat/completions",
    summary="Continue a conversation",
    response_model=ChatCompletion,
    responses=streamable("The answer, or with `stream` its chunks."),
)
async def create_chat_completion(
    request: Request, body: ChatCompletionRequest, services: Services
) -> Response:
    """Answer the last turn of a conversation, in the form of OpenAI's API.

    A parameter that changes meaning is honoured or refused by name; none is ignored.
    """
    if body.server_tools:
        services.caller.require("functions")
    body = await with_texts(body, GivenFiles(services.shared.loader, services.files))
    own = services.functions if body.server_tools else None
    functions = () if own is None else to_server_functions(body.server_tools, own.catalog)
    is_repeatable = body.rag is None and not functions
    context = services.context(is_streamed=body.is_streamed, is_repeatable=is_repeatable)
    backend = services.models.resolve(body.model, context)
    requests = to_chat_requests(body, backend.card.defaults, functions)
    if body.rag is not None:
        services.caller.require("rag")
        retrieval = services.retrieval()
        options = to_rag_options(body.rag, retrieval.top_k, "rag.")
        backend = RagBackend(
            backend, retrieval.retriever, retrieval.store, retrieval.embedder, options
        )
    if own is not None and functions:
        backend = FunctionLoop(backend, functions, own.runner, own.max_rounds)
    telling = ASKED if body.return_progress else None
    generation = Generation(context, backend, requests, body.choices_per_prompt, telling)

    def writer(model: str) -> ChatAnswerWriter:
        return ChatAnswerWriter(new_head("chatcmpl", model, request.app.version), body)

    return await answer(request, generation, writer)


async def with_texts(body: ChatCompletionRequest, given: GivenFiles) -> ChatCompletionRequest:
    """The request with the texts of its files in their places. Raises as `GivenFiles.text`."""
    messages = list(body.messages)
    if not any(isinstance(message.content, list) for message in messages):
        return body
    for at, message in enumerate(messages):
        if isinstance(message.content, list):
            parts = [
                await _with_text(part, given, f"messages[{at}].content[{index}]")
                for index, part in enumerate(message.content)
            ]
            messages[at] = message.model_copy(update={"content": parts})
    return body.model_copy(update={"messages": messages})


async def _with_text(part: ContentPart, given: GivenFiles, path: str) -> ContentPart:
    if part.type != "file":
        return part
    file = required(part.file, f"{path}.file")
    return ContentPart(type="text", text=await given.text(file, f"{path}.file"))
