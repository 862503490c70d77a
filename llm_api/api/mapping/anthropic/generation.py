"""Messages, wire to domain: what is asked of the model. Pure."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final

from llm_api.api.mapping.generation import refuse, renamed, same_meaning, to_sampling
from llm_api.api.mapping.tools import OfferedTools
from llm_api.api.models.anthropic.parameters import CreateMessage, PromptParameters
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
)

_CORE_NAMES: Final[Mapping[str, str]] = {
    "response_format": "output_config.format",
    "chat_template_kwargs": "thinking",
    "reasoning_budget": "thinking.budget_tokens",
}
"""Parameters by which the core names what it refuses, and what they are called here."""

_MOST_EFFORT: Final = "high"
_BEYOND: Final = frozenset({"xhigh", "max"})


def own_names() -> AbstractContextManager[None]:
    """Errors that leave the block name parameters as this resource does."""
    return renamed(_CORE_NAMES)


def check_parameters(body: PromptParameters) -> None:
    """Raises UnsupportedParameterError for what is not honoured."""
    if body.rag is not None:
        refuse("rag", "is not available here: give documents as blocks, or ask chat completions.")


def to_chat_prompt(
    body: PromptParameters, messages: tuple[Message, ...], tools: OfferedTools
) -> ChatPrompt:
    """The conversation, with the tools that may be called.

    Raises InvalidRequestError where nothing is said in it, UnsupportedParameterError where it ends
    in words of the assistant, to be gone on with.
    """
    if not messages:
        raise InvalidRequestError("'messages' say nothing that a model reads.", param="messages")
    if messages[-1].role == "assistant":
        refuse("messages", "ends with an assistant's turn: an answer is never begun by the client.")
    return ChatPrompt(messages, _template_variables(body), tools.specs)


def to_generation_request(
    body: CreateMessage, prompt: ChatPrompt, tools: OfferedTools, card: ModelCard
) -> GenerationRequest:
    """What is asked of the model."""
    return GenerationRequest(
        prompt=prompt,
        max_tokens=body.max_tokens,
        sampling=to_sampling(body, card.defaults, 0),
        stop=tuple(dict.fromkeys(body.stop_sequences or ())),
        tool_choice=tools.choice,
        output_format=_output_format(body),
        reasoning_budget=_budget(body) if _bounds_thought(card) else None,
    )


def ignored_parameters(body: CreateMessage, card: ModelCard) -> Iterator[str]:
    """What changes nothing with this model."""
    if _budget(body) is not None and not _bounds_thought(card):
        yield "thinking.budget_tokens"


def _bounds_thought(card: ModelCard) -> bool:
    return "reasoning_budget" in card.capabilities.abilities


def _budget(body: PromptParameters) -> int | None:
    thinking = body.thinking
    return thinking.budget_tokens if thinking and thinking.type == "enabled" else None


def _output_format(body: PromptParameters) -> JSONFormat | None:
    config = body.output_config
    wanted = same_meaning(
        "output_config.format",
        config.format if config else None,
        "output_format",
        body.output_format,
    )
    return None if wanted is None else JSONFormat(wanted.schema_)


def _template_variables(body: PromptParameters) -> dict[str, JSON]:
    """What the template is given by name: how much to think, and whether at all."""
    variables: dict[str, JSON] = {}
    effort = body.output_config.effort if body.output_config else None
    if effort is not None:
        variables["reasoning_effort"] = _MOST_EFFORT if effort in _BEYOND else effort
    if body.thinking is not None and body.thinking.type != "adaptive":
        variables["enable_thinking"] = body.thinking.type == "enabled"
    return variables
