"""Chat, domain to wire: what is present, and what is absent, in whole answers and in chunks."""

import json
from typing import cast

import pytest

from llm_api.api.mapping.chat_answers import ChatAnswerWriter
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.types import (
    Addition,
    FinishReason,
    FunctionExecuted,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.api.mapping.values import HEAD, ended
from tests.fakes import sampled

CALL = ToolCall("c1", "add", '{"a":1}')
EXECUTED = FunctionExecuted(0, CALL, "5", is_error=False, duration_seconds=0.12345678)
SERVER_CALL = {
    "index": 0,
    "id": "c1",
    "name": "add",
    "arguments": '{"a":1}',
    "result": "5",
    "is_error": False,
    "duration_seconds": 0.123457,
}
FUNCTIONS = {"functions": [{"name": "add"}]}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def writer(**given: object) -> ChatAnswerWriter:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **given}
    return ChatAnswerWriter(HEAD, ChatCompletionRequest.model_validate(body))


def sent(model: AnswerModel | None) -> dict[str, object]:
    """What the client reads: fields that were not set are absent."""
    assert model is not None
    answered: dict[str, object] = json.loads(model.to_json())
    return answered


def choice(model: AnswerModel) -> dict[str, object]:
    choices = sent(model)["choices"]
    assert isinstance(choices, list)
    [only] = choices
    return cast(dict[str, object], only)


def test_whole_answer_has_its_head_its_choices_and_all_their_tokens() -> None:
    completions = [Completion("a", (), ended()), Completion("b", (), ended("length"))]
    assert sent(writer(n=2).whole(completions)) == {
        "id": "x-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": reason,
            }
            for index, text, reason in ((0, "a", "stop"), (1, "b", "length"))
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 6,
            "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "system_fingerprint": "fp_1",
    }


@pytest.mark.parametrize(
    ("given", "completion", "message"),
    [
        ({}, Completion("", (), ended()), {"content": ""}),
        ({}, Completion("4", (), ended(), reasoning="2+2"), {"reasoning_content": "2+2"}),
        (
            {},
            Completion("", (), ended("tool_calls"), tool_calls=(CALL,)),
            {
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a":1}'},
                    }
                ],
            },
        ),
        (
            FUNCTIONS,
            Completion("", (), ended("tool_calls"), tool_calls=(CALL,)),
            {"content": None, "function_call": {"name": "add", "arguments": '{"a":1}'}},
        ),
        (
            {},
            Completion("5", (), ended(), executed=(EXECUTED,)),
            {"content": "5", "server_tool_calls": [SERVER_CALL]},
        ),
    ],
)
def test_message_has_what_was_made(
    given: dict[str, object], completion: Completion, message: dict[str, object]
) -> None:
    bare = {"role": "assistant", "content": completion.text, "refusal": None}
    assert choice(writer(**given).whole([completion]))["message"] == {**bare, **message}


@pytest.mark.parametrize(
    ("given", "delta", "written"),
    [
        ({}, TextDelta("a"), {"content": "a"}),
        ({}, ReasoningDelta("a"), {"reasoning_content": "a"}),
        (
            {},
            ToolCallStarted(1, "c1", "add"),
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "add", "arguments": ""},
                    }
                ]
            },
        ),
        (
            {},
            ToolCallDelta(1, "{"),
            {"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]},
        ),
        (FUNCTIONS, ToolCallDelta(0, "{"), {"function_call": {"arguments": "{"}}),
        ({}, EXECUTED, {"server_tool_calls": [SERVER_CALL]}),
    ],
)
def test_delta_has_nothing_but_what_is_new(
    given: dict[str, object], delta: Addition, written: dict[str, object]
) -> None:
    assert choice(writer(stream=True, **given).delta(2, delta)) == {
        "index": 2,
        "delta": written,
        "logprobs": None,
        "finish_reason": None,
    }


@pytest.mark.parametrize(
    ("given", "reason", "wire"),
    [
        ({}, "stop", "stop"),
        ({}, "tool_calls", "tool_calls"),
        (FUNCTIONS, "tool_calls", "function_call"),
        (FUNCTIONS, "length", "length"),
    ],
)
def test_last_chunk_of_a_choice_says_why_it_ended(
    given: dict[str, object], reason: FinishReason, wire: str
) -> None:
    assert choice(writer(stream=True, **given).closing(0, ended(reason))) == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": wire,
    }


def test_first_chunk_of_a_choice_says_who_speaks() -> None:
    assert choice(writer(stream=True).opening(1))["delta"] == {"role": "assistant", "content": ""}


def test_usage_is_a_chunk_where_it_was_asked_for() -> None:
    assert writer(stream=True).usage(Usage(5, 3)) is None
    assert "usage" not in sent(writer(stream=True).opening(0))
    asking = writer(**STREAM)
    assert sent(asking.opening(0))["usage"] is None
    last = sent(asking.usage(Usage(5, 3)))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 8  # type: ignore[index]


@pytest.mark.parametrize(("given", "tier"), [({}, None), ({"service_tier": "auto"}, "default")])
def test_service_tier_is_told_where_one_was_asked_for(
    given: dict[str, object], tier: str | None
) -> None:
    whole = writer(**given).whole([Completion("a", (), ended())])
    assert sent(whole).get("service_tier") == tier
    assert sent(writer(stream=True, **given).opening(0)).get("service_tier") == tier


def test_logprobs_are_told_where_they_were_asked_for() -> None:
    token = sampled("é".encode()[:1], -0.5, (b"a", float("-inf")))
    delta = TextDelta("é", (token,))
    assert choice(writer(stream=True).delta(0, delta))["logprobs"] is None
    asking = writer(stream=True, logprobs=True, top_logprobs=2)
    candidates = [
        {"token": r"\xc3", "logprob": -0.5, "bytes": [0xC3]},
        {"token": "a", "logprob": -9999.0, "bytes": [97]},
    ]
    wanted = {"content": [{**candidates[0], "top_logprobs": candidates}], "refusal": None}
    assert choice(asking.delta(0, delta))["logprobs"] == wanted
    assert choice(asking.whole([Completion("é", (token,), ended())]))["logprobs"] == wanted
