"""How long a model is to think, wire to domain: variables of its chat template, a budget. Pure."""

from collections.abc import Iterator

from llm_api.api.mapping.generation import one_of, same_meaning
from llm_api.api.models.reasoning import ReasoningParameters
from llm_api.core.llm.types import JSON


def to_variables(request: ReasoningParameters) -> dict[str, JSON]:
    """What the template is given by name. Raises InvalidRequestError for two of one meaning."""
    variables: dict[str, JSON] = dict(request.chat_template_kwargs or {})
    named: dict[str, JSON] = {
        "reasoning_effort": one_of(dict(_efforts(request))),
        "enable_thinking": one_of(dict(_switches(request))),
        "verbosity": request.verbosity,
    }
    for name, value in named.items():
        place = f"chat_template_kwargs.{name}"
        if same_meaning(name, value, place, variables.get(name)) is not None:
            variables.setdefault(name, value)
    return variables


def to_reasoning_budget(request: ReasoningParameters) -> int | None:
    """Tokens of thought; None for as many as it takes. Raises InvalidRequestError for two."""
    reasoning, thinking = request.reasoning, request.thinking
    budget = one_of(
        {
            "reasoning_budget": request.reasoning_budget,
            "thinking_budget": request.thinking_budget,
            "thinking_budget_tokens": request.thinking_budget_tokens,
            "thinking_token_budget": request.thinking_token_budget,
            "reasoning.max_tokens": None if reasoning is None else reasoning.max_tokens,
            "thinking.budget_tokens": None if thinking is None else thinking.budget_tokens,
        }
    )
    return None if budget == -1 else budget


def _efforts(request: ReasoningParameters) -> Iterator[tuple[str, str | None]]:
    yield "reasoning_effort", request.reasoning_effort
    if request.reasoning is not None:
        yield "reasoning.effort", request.reasoning.effort
    if isinstance(request.think, str):
        yield "think", request.think


def _switches(request: ReasoningParameters) -> Iterator[tuple[str, bool | None]]:
    yield "enable_thinking", request.enable_thinking
    if isinstance(request.think, bool):
        yield "think", request.think
    if request.thinking is not None and request.thinking.type is not None:
        yield "thinking.type", request.thinking.type != "disabled"
    if request.reasoning is not None:
        yield "reasoning.enabled", request.reasoning.enabled
