"""Whether a model is to think, in the words of its chat template."""

import pytest

from llm_api.core.llm.prompt.thinking import as_known, budget_of, not_heeded
from llm_api.core.llm.types import JSON

ON: dict[str, JSON] = {"enable_thinking": True}
OFF: dict[str, JSON] = {"enable_thinking": False}


@pytest.mark.parametrize(
    ("variables", "known", "told"),
    [
        ({}, {"enable_thinking"}, {}),
        (OFF, {"enable_thinking"}, OFF),
        (OFF, {"thinking"}, {"thinking": False}),
        ({**OFF, "thinking": True}, {"thinking"}, {"thinking": True}),
        (OFF, {"thinking", "enable_thinking"}, OFF),
        (OFF, {"reasoning_effort"}, OFF),
        ({"reasoning_effort": "none"}, {"enable_thinking"}, OFF),
        ({"reasoning_effort": "none"}, {"thinking"}, {"thinking": False}),
        ({"reasoning_effort": "high"}, {"enable_thinking"}, ON),
        ({"reasoning_effort": "high", **OFF}, {"enable_thinking"}, OFF),
        ({"reasoning_effort": "high"}, {"reasoning_effort"}, {"reasoning_effort": "high"}),
        ({"reasoning_effort": "high"}, set(), {"reasoning_effort": "high"}),
        ({"reasoning_effort": 3}, {"enable_thinking"}, {"reasoning_effort": 3}),
        ({"tone": "dry"}, {"thinking"}, {"tone": "dry"}),
    ],
)
def test_a_template_is_told_by_its_own_names(
    variables: dict[str, JSON], known: set[str], told: dict[str, JSON]
) -> None:
    assert as_known(variables, known) == told


@pytest.mark.parametrize(
    ("variables", "known", "budget"),
    [
        ({}, set(), None),
        ({"reasoning_effort": "none"}, set(), 0),
        ({"reasoning_effort": "none"}, {"enable_thinking"}, 0),
        ({"reasoning_effort": "low"}, {"enable_thinking"}, 1024),
        ({"reasoning_effort": "medium"}, set(), 4096),
        ({"reasoning_effort": "high"}, set(), None),
        ({"reasoning_effort": "low"}, {"reasoning_effort"}, None),
        ({"reasoning_effort": ["low"]}, set(), None),
        (OFF, set(), 0),
        (OFF, {"thinking"}, None),
        (ON, set(), None),
    ],
)
def test_what_a_template_cannot_be_told_is_a_budget(
    variables: dict[str, JSON], known: set[str], budget: int | None
) -> None:
    assert budget_of(variables, known) == budget


def test_an_effort_is_in_vain_for_a_model_that_does_not_think() -> None:
    names = ("reasoning_effort", "enable_thinking", "tone")
    assert not_heeded(names, thinks=False) == names
    assert not_heeded(names, thinks=True) == ("tone",)
