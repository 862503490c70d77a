"""Chat, wire to domain: tables of messages, parameters, and what is refused by name."""

from collections.abc import Mapping

import pytest

from llm_api.api.mapping.chat import to_chat_requests, to_messages
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.core.errors import (
    InvalidRequestError,
    MissingParameterError,
    UnsupportedParameterError,
)
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    OutputFormat,
    RegexFormat,
    ToolCall,
)

DEFAULTS = GenerationDefaults(max_tokens=99, temperature=0.25)
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def asked(**given: object) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "m", "messages": [USER], **given})


def mapped(**given: object) -> list[GenerationRequest]:
    return to_chat_requests(asked(**given), DEFAULTS)


def turns(*messages: Mapping[str, object]) -> tuple[Message, ...]:
    return to_messages(asked(messages=list(messages)).messages)


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        (USER, Message("user", "Hi")),
        ({"role": "developer", "content": "Be kind."}, Message("system", "Be kind.")),
        ({"role": "user", "content": "Hi", "name": "Ann"}, Message("user", "Hi", name="Ann")),
        (
            {"role": "user", "content": [{"type": "text", "text": t} for t in ("a", "", "b")]},
            Message("user", "ab"),
        ),
        ({"role": "assistant", "content": None, "refusal": "No."}, Message("assistant", "No.")),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            Message("assistant", "No."),
        ),
        (
            {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
            Message("assistant", "4", reasoning="2+2"),
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            Message("assistant", "", tool_calls=(ToolCall("c1", "add", "{}"),)),
        ),
        (
            {"role": "assistant", "function_call": {"name": "add", "arguments": "{"}},
            Message("assistant", "", tool_calls=(ToolCall("call_add", "add", "{"),)),
        ),
        ({"role": "user", "content": "Hi", "tool_calls": [CALL]}, Message("user", "Hi")),
        ({"role": "assistant", "content": "a", "audio": []}, Message("assistant", "a")),
    ],
)
def test_message_is_a_turn_of_text(message: dict[str, object], turn: Message) -> None:
    assert turns(message) == (turn,)


def test_results_follow_their_calls_in_both_forms() -> None:
    made = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "content": "5", "tool_call_id": "c1"}
    older = {"role": "assistant", "function_call": {"name": "add", "arguments": "{}"}}
    older_result = {"role": "function", "name": "add", "content": "6"}
    found = turns(made, result, older, older_result)
    assert [turn.tool_call_id for turn in found] == [None, "c1", None, "call_add"]
    assert [turn.role for turn in found] == ["assistant", "tool", "assistant", "tool"]


@pytest.mark.parametrize(
    ("message", "kind", "param"),
    [
        ({"role": "user"}, MissingParameterError, "messages[1].content"),
        ({"role": "assistant"}, MissingParameterError, "messages[1].content"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            UnsupportedParameterError,
            "messages[1].content[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "refusal", "refusal": "No."}]},
            UnsupportedParameterError,
            "messages[1].content[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text"}]},
            MissingParameterError,
            "messages[1].content[1].text",
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal"}]},
            MissingParameterError,
            "messages[1].content[0].refusal",
        ),
        (
            {"role": "assistant", "content": "a", "audio": {"id": "x"}},
            UnsupportedParameterError,
            "messages[1].audio",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]},
            UnsupportedParameterError,
            "messages[1].tool_calls[0].type",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            MissingParameterError,
            "messages[1].tool_calls[0].function",
        ),
        ({"role": "tool", "content": "5"}, MissingParameterError, "messages[1].tool_call_id"),
        (
            {"role": "tool", "content": "5", "tool_call_id": "c1"},
            InvalidRequestError,
            "messages[1].tool_call_id",
        ),
        ({"role": "function", "content": "5"}, MissingParameterError, "messages[1].name"),
        (
            {"role": "function", "content": "5", "name": "add"},
            InvalidRequestError,
            "messages[1].name",
        ),
    ],
)
def test_message_at_fault_is_named(
    message: dict[str, object], kind: type[InvalidRequestError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        turns(USER, message)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        *(
            ({name: {}}, UnsupportedParameterError, name)
            for name in ("audio", "web_search_options", "moderation")
        ),
        ({"modalities": ["text", "audio"]}, UnsupportedParameterError, "modalities"),
        ({"rag": {}, "server_tools": "all"}, UnsupportedParameterError, "server_tools"),
        ({"stream_options": {}}, InvalidRequestError, "stream_options"),
        ({"top_logprobs": 2}, InvalidRequestError, "top_logprobs"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, InvalidRequestError, "max_tokens"),
        (
            {"response_format": {"type": "json_object"}, "guided_regex": "a"},
            InvalidRequestError,
            "response_format",
        ),
        (
            {"response_format": {"type": "json_schema"}},
            MissingParameterError,
            "response_format.json_schema",
        ),
    ],
)
def test_parameter_at_fault_is_named(
    given: dict[str, object], kind: type[InvalidRequestError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        mapped(**given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "given",
    [
        {"modalities": ["text"], "service_tier": "auto", "store": False},
        {"metadata": {"a": "b"}, "user": "u", "safety_identifier": "s", "prompt_cache_key": "k"},
        {"prediction": {"type": "content", "content": "Hi"}},
    ],
)
def test_parameter_that_changes_nothing_changes_nothing(given: dict[str, object]) -> None:
    assert mapped(**given) == mapped()


def test_each_choice_is_a_request_with_its_own_seed() -> None:
    requests = mapped(n=3, seed=5, max_completion_tokens=7, stop="x", ignore_eos=True)
    assert [request.sampling.seed for request in requests] == [5, 6, 7]
    assert {request.max_tokens for request in requests} == {7}
    assert {request.stop for request in requests} == {("x",)}
    assert all(request.ignore_eos for request in requests)
    assert {request.prompt == requests[0].prompt for request in requests} == {True}


@pytest.mark.parametrize(
    ("given", "max_tokens"), [({}, 99), ({"max_tokens": 5}, 5), ({"max_completion_tokens": 6}, 6)]
)
def test_length_has_two_names_and_a_default(given: dict[str, object], max_tokens: int) -> None:
    assert [request.max_tokens for request in mapped(**given)] == [max_tokens]


@pytest.mark.parametrize(
    ("given", "top_logprobs"),
    [({}, None), ({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 3}, 3)],
)
def test_logprobs_are_counted(given: dict[str, object], top_logprobs: int | None) -> None:
    assert mapped(**given)[0].top_logprobs == top_logprobs


SCHEMA = {"type": "array"}


@pytest.mark.parametrize(
    ("given", "format"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "text"}, "guided_regex": "a"}, RegexFormat("a")),
        ({"response_format": {"type": "json_object"}}, JSONFormat({"type": "object"})),
        (
            {"response_format": {"type": "json_object", "schema": SCHEMA}},
            JSONFormat({"type": "array"}),
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "list", "schema": SCHEMA},
                }
            },
            JSONFormat({"type": "array"}),
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "any"}}},
            JSONFormat({"type": "object"}),
        ),
    ],
)
def test_response_format_is_a_format(given: dict[str, object], format: OutputFormat | None) -> None:
    assert mapped(**given)[0].output_format == format


@pytest.mark.parametrize(
    ("given", "max_tokens"),
    [
        ({}, DEFAULTS.max_tokens),
        ({"max_tokens": -1}, None),
        ({"max_completion_tokens": -1}, None),
        ({"n_predict": -1}, None),
        ({"n_predict": 7}, 7),
        ({"n_predict": 7, "max_tokens": 7}, 7),
    ],
)
def test_length_has_several_names_and_may_be_to_the_end(
    given: dict[str, object], max_tokens: int | None
) -> None:
    assert mapped(**given)[0].max_tokens == max_tokens


@pytest.mark.parametrize(
    ("given", "top"),
    [
        ({"n_probs": 3}, 3),
        ({"n_probs": 0}, None),
        ({"n_probs": 3, "logprobs": True}, 3),
        ({"n_probs": 3, "logprobs": False}, None),
        ({"n_probs": 0, "logprobs": True, "top_logprobs": 2}, 2),
    ],
)
def test_log_probabilities_are_asked_for_by_number(
    given: dict[str, object], top: int | None
) -> None:
    assert mapped(**given)[0].top_logprobs == top


def test_a_thought_of_the_past_has_two_names() -> None:
    said = {"role": "assistant", "content": "Hi"}
    (_, one), (_, other) = (
        turns(USER, said | {name: "hm"}) for name in ("reasoning", "reasoning_content")
    )
    assert one == other
    assert one.reasoning == "hm"


def test_template_is_given_its_variables() -> None:
    kwargs = {"enable_thinking": False}
    [request] = mapped(chat_template_kwargs=kwargs, reasoning_effort="low")
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.variables == {"enable_thinking": False, "reasoning_effort": "low"}
