"""How long a model is to think, under every name that clients have for it."""

import pytest

from llm_api.api.mapping.reasoning import to_reasoning_budget, to_variables
from llm_api.api.models.reasoning import ReasoningParameters
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import JSON

ON: dict[str, JSON] = {"enable_thinking": True}
OFF: dict[str, JSON] = {"enable_thinking": False}
LOW: dict[str, JSON] = {"reasoning_effort": "low"}


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({}, {}),
        ({"reasoning_effort": "low"}, LOW),
        ({"reasoning": {"effort": "low"}}, LOW),
        ({"think": "low"}, LOW),
        ({"chat_template_kwargs": {"reasoning_effort": "low"}, "think": "low"}, LOW),
        ({"think": True}, ON),
        ({"think": False}, OFF),
        ({"enable_thinking": False, "think": False}, OFF),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, ON),
        ({"thinking": {"type": "adaptive"}}, ON),
        ({"thinking": {"type": "disabled"}}, OFF),
        ({"thinking": {}}, {}),
        ({"reasoning": {"enabled": False}}, OFF),
        ({"reasoning": {"enabled": True, "effort": "low"}}, ON | LOW),
        ({"verbosity": "low"}, {"verbosity": "low"}),
        ({"chat_template_kwargs": {"tone": 1}, "think": True}, ON | {"tone": 1}),
    ],
)
def test_variables_are_named_as_templates_do(
    given: dict[str, object], variables: dict[str, JSON]
) -> None:
    assert to_variables(ReasoningParameters.model_validate(given)) == variables


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, None),
        ({"reasoning_budget": 8}, 8),
        ({"reasoning_budget": 0}, 0),
        ({"reasoning_budget": -1}, None),
        ({"thinking_budget": 8}, 8),
        ({"thinking_budget_tokens": 8}, 8),
        ({"thinking_token_budget": 8}, 8),
        ({"reasoning": {"max_tokens": 8}}, 8),
        ({"thinking": {"type": "enabled", "budget_tokens": 8}}, 8),
        ({"thinking": {"budget_tokens": 8}, "thinking_budget": 8}, 8),
    ],
)
def test_a_budget_is_a_number_of_tokens(given: dict[str, object], budget: int | None) -> None:
    assert to_reasoning_budget(ReasoningParameters.model_validate(given)) == budget


def test_two_budgets_are_refused() -> None:
    given = {"thinking": {"budget_tokens": 8}, "reasoning_budget": 9}
    with pytest.raises(InvalidRequestError) as caught:
        to_reasoning_budget(ReasoningParameters.model_validate(given))
    assert caught.value.param == "thinking.budget_tokens"
