"""What all calls of an answer, and all tools of a request, may cost together."""

import time
from typing import Any

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking import call_judge
from llm_api.core.llm.output.checking.call_judge import make_call_judge, make_call_judges, verdicts
from llm_api.core.llm.output.checking.json_validator import CHECK_SECONDS
from llm_api.core.llm.types import ToolCall, ToolSpec

SLOW: dict[str, Any] = {"properties": {"a": {"pattern": "^(?=a)(a|aa)+$"}}}
ENDLESS = ToolCall("id", "slow", '{"a": "' + "a" * 1000 + 'b"}')


def test_calls_that_there_is_no_time_for_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_judge, "ANSWER_SECONDS", 0.2)
    rules = {"slow": make_call_judge(ToolSpec("slow", "", SLOW))}
    began = time.thread_time()
    judged = verdicts(rules, [ENDLESS] * 50)
    assert time.thread_time() - began < 3 * CHECK_SECONDS
    assert len(judged) == 50
    assert not any(one.is_certain for one in judged)


def test_tools_that_there_is_no_time_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_judge, "TOOLS_SECONDS", 0.0)
    tools = [ToolSpec(f"slow_{number}", "", SLOW, param="server_tools") for number in range(3)]
    with pytest.raises(InvalidRequestError, match="send less") as refusal:
        make_call_judges(tools)
    assert refusal.value.param == "server_tools"
