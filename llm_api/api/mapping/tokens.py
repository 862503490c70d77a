"""Tokens, wire to domain and back: llama.cpp's form and vLLM's. Pure."""

from llm_api.api.mapping.chat import to_chat_requests
from llm_api.api.mapping.generation import given_or, refuse, required
from llm_api.api.models import tokens as wire
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.core.errors import InvalidRequestError, MissingParameterError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import ChatPrompt, MarkedText, Tokenized

_ONE_OF = ("content", "prompt", "messages")


def to_text(request: wire.TokenizeRequest) -> MarkedText | ChatPrompt:
    """What is to be made tokens of. Raises InvalidRequestError unless there is one of it."""
    given = [name for name in _ONE_OF if getattr(request, name) is not None]
    if not given:
        raise MissingParameterError(
            "Missing required parameter: 'content', or vLLM's 'prompt' or 'messages'.",
            param="content",
        )
    if len(given) > 1:
        raise InvalidRequestError(
            f"'{given[0]}' and '{given[1]}' cannot both be made tokens of; send one.",
            param=given[1],
        )
    if request.content is not None:
        parses = given_or(request.parse_special, True)
        return MarkedText(request.content, bool(request.add_special), parses)
    if request.prompt is not None:
        return MarkedText(request.prompt, given_or(request.add_special_tokens, True), True)
    return to_conversation(request)


def to_conversation(request: wire.ConversationFields) -> ChatPrompt:
    """The conversation as a chat completion would have it. Raises as `to_chat_requests`."""
    if request.add_generation_prompt is False:
        refuse("add_generation_prompt", "is available only as true.")
    chat = ChatCompletionRequest.model_construct(
        model="",
        messages=required(request.messages, "messages"),
        tools=request.tools,
        chat_template_kwargs=request.chat_template_kwargs,
    )
    [asked] = to_chat_requests(chat, GenerationDefaults())
    if not isinstance(asked.prompt, ChatPrompt):
        raise TypeError("a chat completion without a conversation")
    return asked.prompt


def to_answer(
    request: wire.TokenizeRequest, tokenized: Tokenized, context_length: int | None
) -> wire.TokenList | wire.CountedTokens:
    """In the form of the request."""
    ids = list(tokenized.ids)
    if request.content is not None:
        if not request.with_pieces:
            return wire.TokenList(tokens=ids)
        return wire.TokenList(
            tokens=[
                wire.TokenPiece(id=token, piece=_piece(data))
                for token, data in zip(ids, tokenized.pieces, strict=True)
            ]
        )
    answer = wire.CountedTokens(count=len(ids), max_model_len=context_length, tokens=ids)
    if request.return_token_strs:
        answer.token_strs = [data.decode("utf-8", "replace") for data in tokenized.pieces]
    return answer


def _piece(data: bytes) -> str | list[int]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)
