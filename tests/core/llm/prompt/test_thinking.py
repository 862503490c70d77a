"""Whether a model is to think, in the words of its chat template."""

import pytest

from llm_api.core.llm.prompt.thinking import as_known
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
