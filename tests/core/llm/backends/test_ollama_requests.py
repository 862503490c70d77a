"""What is posted to Ollama, as the types of its official client take it."""

from dataclasses import replace
from typing import Any

import pytest
from ollama._types import ChatRequest, GenerateRequest

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backends.ollama_requests import (
    CAPABILITIES,
    OllamaModel,
    reads_variable,
    to_body,
)
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    TextPrompt,
    TokenPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)

MODEL = OllamaModel("llama2")
WEATHER = ToolSpec("weather", "Tells it.", {"properties": {"city": {"type": "string"}}})
CLOCK = ToolSpec("clock")


def chat(*messages: Message, **others: Any) -> GenerationRequest:
    return GenerationRequest(ChatPrompt(messages or (Message("user", "Hi"),)), 9, **others)


def posted(request: GenerationRequest, model: OllamaModel = MODEL) -> dict[str, Any]:
    """The body, once the official client's types have taken it."""
    path, body = to_body(request, model)
    kind = ChatRequest if path == "api/chat" else GenerateRequest
    taken: dict[str, Any] = kind.model_validate(body).model_dump(exclude_unset=True)
    others = {"truncate", "shift"}  # newer than that client
    assert taken.keys() == body.keys() - others
    return {**body, "path": path}


def test_a_conversation_goes_to_chat() -> None:
    body = posted(chat(Message("system", "Be brief."), Message("user", "Hi")))
    assert body["path"] == "api/chat"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert (body["model"], body["stream"]) == ("llama2", True)


def test_text_is_continued_without_a_template() -> None:
    body = posted(GenerationRequest(TextPrompt("Once"), 9))
    assert (body["path"], body["prompt"], body["raw"]) == ("api/generate", "Once", True)


def test_token_ids_are_refused() -> None:
    with pytest.raises(UnsupportedParameterError, match="token ids"):
        to_body(GenerationRequest(TokenPrompt((1,)), 9), MODEL)


def test_an_answer_without_a_bound_runs_to_the_end_of_the_context() -> None:
    assert posted(replace(chat(), max_tokens=None))["options"]["num_predict"] == -1


def test_every_option_is_said_since_ollamas_defaults_are_others() -> None:
    assert posted(chat())["options"] == {
        "num_predict": 9,
        "stop": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "typical_p": 1.0,
        "repeat_penalty": 1.0,
        "repeat_last_n": 64,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def test_every_sampling_field_that_is_offered_is_sent() -> None:
    sampling = Sampling(0.5, 0.9, 40, 0.1, 0.8, 1.1, 32, 0.2, 0.3, seed=7)
    options = posted(chat(sampling=sampling, stop=("\n",)))["options"]
    assert {name: options[name] for name in CAPABILITIES.sampling} == {
        name: getattr(sampling, name) for name in CAPABILITIES.sampling
    }
    assert options["stop"] == ["\n"]


@pytest.mark.parametrize(("context_length", "expected"), [(None, {}), (4096, {"num_ctx": 4096})])
def test_the_context_length_is_said_where_it_is_known(
    context_length: int | None, expected: dict[str, int]
) -> None:
    options = posted(chat(), OllamaModel("llama2", context_length))["options"]
    assert {name: options[name] for name in options.keys() & {"num_ctx"}} == expected


def test_nothing_is_cut_silently() -> None:
    body = posted(chat())
    assert (body["truncate"], body["shift"]) == (False, False)


def test_no_tokens_at_all_would_be_no_limit() -> None:
    with pytest.raises(InvalidRequestError, match="max_tokens"):
        to_body(replace(chat(), max_tokens=0), MODEL)


def test_a_schema_is_the_format() -> None:
    schema = {"type": "object"}
    assert posted(chat(output_format=JSONFormat(schema)))["format"] == schema


def test_calls_and_results_keep_their_ids() -> None:
    history = (
        Message("assistant", "", tool_calls=(ToolCall("call_1", "weather", '{"city": "Paris"}'),)),
        Message("tool", "sunny", tool_call_id="call_1"),
    )
    call, result = posted(chat(*history))["messages"]
    function = {"name": "weather", "arguments": {"city": "Paris"}}
    assert call["tool_calls"] == [{"id": "call_1", "function": function}]
    assert result == {
        "role": "tool",
        "content": "sunny",
        "tool_call_id": "call_1",
        "tool_name": "weather",
    }


def test_broken_arguments_of_a_history_are_closed() -> None:
    broken = Message("assistant", "", tool_calls=(ToolCall("1", "weather", '{"city": "Par'),))
    (turn,) = posted(chat(broken))["messages"]
    assert turn["tool_calls"][0]["function"]["arguments"] == {"city": "Par"}


def test_past_thoughts_are_handed_on() -> None:
    (turn,) = posted(chat(Message("assistant", "Hi", reasoning="Greet.")))["messages"]
    assert turn["thinking"] == "Greet."


def test_only_tools_that_may_be_called_are_offered() -> None:
    request = GenerationRequest(
        ChatPrompt((Message("user", "Hi"),), tools=(WEATHER, CLOCK)),
        9,
        tool_choice=ToolChoice("auto", frozenset({"weather"})),
    )
    assert posted(request)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells it.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]


@pytest.mark.parametrize(
    ("variables", "think"),
    [
        ({"enable_thinking": True}, True),
        ({"enable_thinking": False}, False),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "low", "enable_thinking": True}, "low"),
    ],
)
def test_thinking_is_switched(variables: dict[str, Any], think: bool | str) -> None:
    prompt = ChatPrompt((Message("user", "Hi"),), variables)
    assert posted(GenerationRequest(prompt, 9))["think"] == think


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_thinking", "yes"), ("reasoning_effort", "huge"), ("reasoning_effort", []), ("x", 1)],
)
def test_other_variables_say_nothing_to_ollama(name: str, value: Any) -> None:
    assert not reads_variable(name, value)
