"""Answers from documents, wire to domain. Pure."""

from llm_api.api.mapping.chat import to_messages
from llm_api.api.mapping.generation import (
    check_stream_options,
    refuse,
    same_meaning,
    to_guided_format,
    to_sampling,
    to_stop,
)
from llm_api.api.mapping.rag.search import to_search_options
from llm_api.api.models.rag.chat import RagChatRequest, RagParameters
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message
from llm_api.core.rag.answering.answer import RagOptions


def to_rag_options(given: RagParameters, default_top_k: int, path: str = "") -> RagOptions:
    """`path` is where the parameters stand in the request. Raises InvalidRequestError."""
    return RagOptions(to_search_options(given, default_top_k, path), bool(given.verify))


def to_top_k(request: RagChatRequest, default: int) -> int:
    """`top_k` by either name. Raises InvalidRequestError where they differ."""
    given = same_meaning("num_context_docs", request.num_context_docs, "top_k", request.top_k)
    return given or default


def to_generation_request(
    request: RagChatRequest, defaults: GenerationDefaults
) -> GenerationRequest:
    """The conversation to answer. Raises InvalidRequestError, UnsupportedParameterError."""
    check_stream_options(request)
    if request.choices_per_prompt > 1:
        refuse("n", "is available only as 1: an answer from documents is one.")
    return GenerationRequest(
        prompt=ChatPrompt(_messages(request)),
        max_tokens=request.max_tokens or defaults.max_tokens,
        sampling=to_sampling(request, defaults, 0),
        stop=to_stop(request.stop),
        ignore_eos=bool(request.ignore_eos),
        output_format=to_guided_format(request),
    )


def _messages(request: RagChatRequest) -> tuple[Message, ...]:
    if (request.query is None) == (request.messages is None):
        raise InvalidRequestError("Send either 'query' or 'messages'.", param="query")
    if request.query is not None:
        return (Message("user", request.query),)
    return to_messages(request.messages or [])
