"""Chat, wire to domain: a conversation becomes one generation request per choice. Pure."""

from llm_api.api.mapping.chat_refusals import check_message, check_parameters
from llm_api.api.mapping.generation import (
    check_stream_options,
    refuse,
    same_meaning,
    to_sampling,
    to_stop,
)
from llm_api.api.models.chat import ChatCompletionRequest, ChatMessage
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import JSON, ChatPrompt, GenerationRequest, Message, Role

_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}


def to_chat_requests(
    request: ChatCompletionRequest, defaults: GenerationDefaults
) -> list[GenerationRequest]:
    """One generation request per choice.

    Raises UnsupportedParameterError for what is not honoured, InvalidRequestError for what
    contradicts itself; both name the parameter.
    """
    check_parameters(request)
    check_stream_options(request)
    prompt = ChatPrompt(to_messages(request.messages), _template_variables(request))
    max_tokens = same_meaning(
        "max_completion_tokens", request.max_completion_tokens, "max_tokens", request.max_tokens
    )
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
            sampling=to_sampling(request, defaults, choice),
            stop=to_stop(request),
            top_logprobs=_top_logprobs(request),
            ignore_eos=bool(request.ignore_eos),
        )
        for choice in range(request.choices_per_prompt)
    ]


def to_messages(messages: list[ChatMessage]) -> tuple[Message, ...]:
    """The turns as plain text. Raises UnsupportedParameterError, InvalidRequestError."""
    return tuple(
        _to_message(message, f"messages[{index}]") for index, message in enumerate(messages)
    )


def _to_message(message: ChatMessage, path: str) -> Message:
    check_message(message, path)
    return Message(_ROLES[message.role], _text(message, path), message.name)


def _text(message: ChatMessage, path: str) -> str:
    if message.content is None:
        raise InvalidRequestError(
            f"Missing required parameter: '{path}.content'.", param=f"{path}.content"
        )
    if isinstance(message.content, str):
        return message.content
    texts = []
    for index, part in enumerate(message.content):
        part_path = f"{path}.content[{index}]"
        if part.type != "text":
            refuse(f"{part_path}.type", f"is '{part.type}': this server's models read text only.")
        if part.text is None:
            raise InvalidRequestError(
                f"Missing required parameter: '{part_path}.text'.", param=f"{part_path}.text"
            )
        texts.append(part.text)
    return "".join(texts)


def _template_variables(request: ChatCompletionRequest) -> dict[str, JSON]:
    """What the template is given by name. The backend refuses a name its template does not use."""
    variables: dict[str, JSON] = dict(request.chat_template_kwargs or {})
    if request.reasoning_effort is not None:
        variables["reasoning_effort"] = request.reasoning_effort
    return variables


def _top_logprobs(request: ChatCompletionRequest) -> int | None:
    if request.logprobs:
        return request.top_logprobs or 0
    if request.top_logprobs is not None:
        raise InvalidRequestError(
            "'top_logprobs' is only allowed when 'logprobs' is true.", param="top_logprobs"
        )
    return None
