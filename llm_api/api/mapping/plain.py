"""The plain resources, wire to domain. Pure."""

from llm_api.api.mapping.generation import one_of, to_max_tokens, to_sampling, to_stop
from llm_api.api.models.plain import GenerateRequest, PlainChatRequest
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults, ModelCard
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    Message,
    Prompt,
    TextPrompt,
)

DEFAULT_NEW_TOKENS = 50


def to_generate_request(
    request: GenerateRequest, card: ModelCard, token_limit: int
) -> GenerationRequest:
    """The prompt as a text to continue, for a model that only converses as a turn of the user.

    Raises InvalidRequestError for more tokens than `token_limit`, or two numbers of them.
    """
    return GenerationRequest(
        prompt=_prompt(request.prompt, card),
        max_tokens=_new_tokens(request, token_limit),
        sampling=to_sampling(request, card.defaults, 0),
        ignore_eos=bool(request.ignore_eos),
        retention=request.prompt_cache_retention,
        stop=to_stop(request.stop),
    )


def to_plain_chat_request(
    request: PlainChatRequest, defaults: GenerationDefaults
) -> GenerationRequest:
    """The prompt as the only turn of a conversation."""
    return GenerationRequest(
        prompt=_turn(request.prompt),
        max_tokens=to_max_tokens(
            {"max_tokens": request.max_tokens, "n_predict": request.n_predict}, defaults.max_tokens
        ),
        sampling=to_sampling(request, defaults, 0),
        ignore_eos=bool(request.ignore_eos),
        retention=request.prompt_cache_retention,
    )


def _prompt(text: str, card: ModelCard) -> Prompt:
    return TextPrompt(text) if "text" in card.capabilities.abilities else _turn(text)


def _turn(text: str) -> ChatPrompt:
    return ChatPrompt((Message("user", text),))


def _new_tokens(request: GenerateRequest, limit: int) -> int:
    names = ("max_new_tokens", "max_tokens", "max_length", "n_predict")
    wanted: int | None = one_of({name: getattr(request, name) for name in names})
    if wanted is None:
        return min(DEFAULT_NEW_TOKENS, limit)
    if wanted > limit:
        param = next(name for name in names if getattr(request, name) is not None)
        raise InvalidRequestError(
            f"'{param}' must not be above {limit}, which the server's setting"
            " GENERATE_MAX_TOKENS says; `/v1/completions` has no such bound.",
            param=param,
        )
    return wanted
