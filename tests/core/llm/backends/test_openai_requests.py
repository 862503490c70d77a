"""Our requests in OpenAI's words: tables, per kind of server."""

from dataclasses import replace
from typing import Any

import pytest

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.backends.openai_flavours import FLAVOURS, FlavourName
from llm_api.core.llm.backends.openai_requests import to_wire
from llm_api.core.llm.types import (
    Adapter,
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    OutputFormat,
    RegexFormat,
    Sampling,
    TextPrompt,
    TokenPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)

HELLO = ChatPrompt((Message("user", "hello"),))
ADD = ToolSpec("add", "Adds.", {"type": "object"})
SUB = ToolSpec("sub")
TOOLS = replace(HELLO, tools=(ADD, SUB))
BOTH = frozenset({"add", "sub"})
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}


def asked(request: GenerationRequest, flavour: FlavourName = "openai") -> dict[str, Any]:
    _, body = to_wire(request, "theirs", FLAVOURS[flavour])
    return dict(body)


def chat(**fields: Any) -> GenerationRequest:
    return replace(GenerationRequest(HELLO, 7), **fields)


def test_a_conversation_is_a_stream_with_usage() -> None:
    path, body = to_wire(chat(stop=("a", "b")), "theirs", FLAVOURS["openai"])
    assert path == "chat/completions"
    assert body == {
        "model": "theirs",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1.0,
        "stop": ["a", "b"],
        "messages": [{"role": "user", "content": "hello"}],
        "max_completion_tokens": 7,
    }


@pytest.mark.parametrize(
    ("prompt", "sent"), [(TextPrompt("Once"), "Once"), (TokenPrompt((1, 2)), [1, 2])]
)
def test_a_raw_prompt_is_continued(prompt: TextPrompt | TokenPrompt, sent: object) -> None:
    path, body = to_wire(chat(prompt=prompt), "theirs", FLAVOURS["openai"])
    assert path == "completions"
    assert (body["prompt"], body["max_tokens"]) == (sent, 7)
    assert "max_completion_tokens" not in body


@pytest.mark.parametrize("flavour", ["vllm", "llama-server", "huggingface"])
def test_the_bound_of_an_answer_has_its_older_name_elsewhere(flavour: FlavourName) -> None:
    assert asked(chat(), flavour)["max_tokens"] == 7


def test_openai_is_told_what_is_not_off() -> None:
    sampling = Sampling(temperature=0.0, top_p=0.5, seed=3, logit_bias=((5, -100.0),))
    body = asked(chat(sampling=sampling))
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.0, 0.5, 3)
    assert body["logit_bias"] == {"5": -100.0}
    assert not {"presence_penalty", "frequency_penalty"} & body.keys()


@pytest.mark.parametrize(
    ("flavour", "told"),
    [
        ("vllm", {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("llama-server", {"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "mirostat": 0}),
    ],
)
def test_an_engine_is_told_every_value(flavour: FlavourName, told: dict[str, float]) -> None:
    body = asked(chat(), flavour)
    assert body.items() >= told.items()
    assert "seed" not in body


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_value_that_a_flavour_can_honour_is_sent(flavour: FlavourName) -> None:
    values: dict[str, Any] = {
        "temperature": 0.125,
        "top_p": 0.25,
        "top_k": 11,
        "min_p": 0.375,
        "typical_p": 0.5,
        "repeat_penalty": 1.125,
        "presence_penalty": 0.625,
        "frequency_penalty": 0.75,
        "logit_bias": ((1, 0.875),),
        "seed": 12,
        "mirostat": 2,
        "mirostat_tau": 6.5,
        "mirostat_eta": 0.0625,
        "repeat_last_n": 65,
        "dry_multiplier": 0.1875,
        "dry_base": 1.25,
        "dry_allowed_length": 3,
        "dry_penalty_last_n": 66,
        "dry_sequence_breakers": (",",),
        "xtc_probability": 0.3125,
        "xtc_threshold": 0.4375,
        "dynatemp_range": 0.5625,
        "dynatemp_exponent": 1.375,
    }
    body = asked(chat(sampling=Sampling(**values)), flavour)
    values["dry_sequence_breakers"] = [","]
    sent = [value for value in values.values() if value in body.values()]
    assert len(sent) + 1 == len(FLAVOURS[flavour].capabilities.sampling)  # and logit_bias, below
    assert body["logit_bias"] == {"1": 0.875}


@pytest.mark.parametrize(
    ("flavour", "name"),
    [("vllm", "thinking_token_budget"), ("llama-server", "thinking_budget_tokens")],
)
def test_a_reasoning_budget_has_a_name_with_each_engine(flavour: FlavourName, name: str) -> None:
    assert asked(chat(reasoning_budget=9), flavour)[name] == 9
    assert name not in asked(chat(), flavour)


HISTORY = (
    Message("system", "be brief"),
    Message("user", "1+1?", name="ann"),
    Message("assistant", "", tool_calls=(ToolCall("c1", "add", '{"a": 1'),), reasoning="hm"),
    Message("tool", "2", name="add", tool_call_id="c1"),
    Message("assistant", "two", reasoning="easy"),
)
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1'}}


def test_a_history_keeps_its_calls_and_their_results() -> None:
    assert asked(chat(prompt=ChatPrompt(HISTORY)))["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "1+1?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "assistant", "content": "two"},
    ]


def test_an_engine_gets_its_earlier_thoughts_back() -> None:
    messages = asked(chat(prompt=ChatPrompt(HISTORY)), "vllm")["messages"]
    assert [message.get("reasoning_content") for message in messages] == [
        None,
        None,
        "hm",
        None,
        "easy",
    ]


def named(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name}} for name in names]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, "none"),
        (ToolChoice("auto", BOTH), "auto"),
        (ToolChoice("required", BOTH), "required"),
        (ToolChoice("required", frozenset({"add"})), named("add")[0]),
        (
            ToolChoice("auto", frozenset({"add"})),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": named("add")},
            },
        ),
    ],
)
def test_openai_is_shown_every_tool_and_told_which_may_be_called(
    choice: ToolChoice | None, said: object
) -> None:
    body = asked(chat(prompt=TOOLS, tool_choice=choice))
    assert body["tool_choice"] == said
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "sub"]
    assert body["tools"][0] == {
        "type": "function",
        "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}},
    }
    assert "parallel_tool_calls" not in body


def test_vllm_is_asked_for_strictness_since_it_holds_no_other_call_to_its_schema() -> None:
    request = chat(prompt=TOOLS, tool_choice=ToolChoice("required", frozenset({"add", "sub"})))
    body = asked(request, "vllm")
    assert [tool["function"].get("strict") for tool in body["tools"]] == [True, True]


def test_who_asks_for_strictness_gets_it_there_too() -> None:
    strict = replace(TOOLS, tools=(replace(TOOLS.tools[0], is_strict=True), TOOLS.tools[1]))
    body = asked(chat(prompt=strict, tool_choice=ToolChoice("auto", frozenset({"add", "sub"}))))
    assert [tool["function"].get("strict") for tool in body["tools"]] == [True, None]


@pytest.mark.parametrize("flavour", ["vllm", "llama-server", "huggingface"])
def test_elsewhere_only_tools_that_may_be_called_are_shown(flavour: FlavourName) -> None:
    choice = ToolChoice("required", frozenset({"sub"}))
    body = asked(chat(prompt=TOOLS, tool_choice=choice), flavour)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["sub"]
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("flavour", "is_parallel", "said"),
    [
        ("openai", True, None),
        ("openai", False, False),
        ("huggingface", False, False),
        ("llama-server", True, True),
        ("vllm", False, False),
    ],
)
def test_one_call_at_a_time_is_always_said(
    flavour: FlavourName, is_parallel: bool, said: bool | None
) -> None:
    choice = ToolChoice("auto", BOTH, is_parallel)
    body = asked(chat(prompt=TOOLS, tool_choice=choice), flavour)
    assert body.get("parallel_tool_calls") is said


STRICT = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
}


@pytest.mark.parametrize(
    ("flavour", "wanted", "said"),
    [
        ("openai", JSONFormat(SCHEMA), STRICT),
        ("huggingface", JSONFormat(SCHEMA), STRICT),
        ("openai", JSONFormat({"type": "object"}), {"response_format": {"type": "json_object"}}),
        ("vllm", JSONFormat(SCHEMA), {"structured_outputs": {"json": SCHEMA}}),
        ("vllm", RegexFormat("a+"), {"structured_outputs": {"regex": "a+"}}),
        ("vllm", ChoiceFormat(("a", "b")), {"structured_outputs": {"choice": ["a", "b"]}}),
        ("vllm", GrammarFormat("g"), {"structured_outputs": {"grammar": "g"}}),
        ("llama-server", JSONFormat(SCHEMA), {"json_schema": SCHEMA}),
        ("llama-server", GrammarFormat("g"), {"grammar": "g"}),
        (
            "llama-server",
            ChoiceFormat(("yes", '"é\n')),
            {"grammar": r'root ::= "yes" | "\U00000022\U000000E9\U0000000A"'},
        ),
    ],
)
def test_a_format_is_said_as_the_server_knows_it(
    flavour: FlavourName, wanted: OutputFormat, said: dict[str, Any]
) -> None:
    assert asked(chat(output_format=wanted), flavour).items() >= said.items()
    if FLAVOURS[flavour].is_engine:
        raw = chat(prompt=TextPrompt("x"), output_format=wanted)
        assert asked(raw, flavour).items() >= said.items()


def test_openai_has_formats_for_conversations_only() -> None:
    with pytest.raises(UnsupportedParameterError, match="response_format"):
        asked(chat(prompt=TextPrompt("x"), output_format=JSONFormat(SCHEMA)))


@pytest.mark.parametrize(("top", "sent"), [(None, None), (0, 1), (3, 3)])
def test_logprobs_are_asked_for_in_the_words_of_the_endpoint(
    top: int | None, sent: int | None
) -> None:
    spoken = asked(chat(top_logprobs=top))
    assert (spoken.get("logprobs"), spoken.get("top_logprobs")) == (sent and True, sent)
    assert asked(chat(prompt=TextPrompt("x"), top_logprobs=top)).get("logprobs") == sent


def test_variables_are_for_templates_and_effort_for_all() -> None:
    prompt = replace(HELLO, variables={"reasoning_effort": "low", "enable_thinking": False})
    assert asked(chat(prompt=prompt), "vllm")["chat_template_kwargs"] == prompt.variables
    effort = replace(HELLO, variables={"reasoning_effort": "low"})
    assert asked(chat(prompt=effort))["reasoning_effort"] == "low"
    assert not FLAVOURS["openai"].reads_variable("enable_thinking", False)


def test_an_engine_may_be_told_to_go_on() -> None:
    assert asked(chat(ignore_eos=True), "vllm")["ignore_eos"] is True
    assert "ignore_eos" not in asked(chat(), "vllm")


ASKED: dict[str, GenerationRequest] = {
    "prompt": chat(prompt=TextPrompt("x")),
    "typical_p": chat(sampling=Sampling(typical_p=0.5)),
    "top_k": chat(sampling=Sampling(top_k=5)),
    "mirostat": chat(sampling=Sampling(mirostat=2)),
    "guided_regex": chat(output_format=RegexFormat("a")),
    "grammar": chat(output_format=GrammarFormat("a")),
    "ignore_eos": chat(ignore_eos=True),
    "dry_multiplier": chat(sampling=Sampling(dry_multiplier=0.8)),
    "reasoning_budget": chat(reasoning_budget=0),
    "lora": chat(adapters=(Adapter("poet"),)),
}


@pytest.mark.parametrize(
    ("flavour", "refused"),
    [
        ("openai", set(ASKED) - {"prompt"}),
        ("huggingface", set(ASKED)),
        ("vllm", {"typical_p", "mirostat", "dry_multiplier", "lora"}),
        ("llama-server", {"guided_regex", "lora"}),
    ],
)
def test_what_a_flavour_cannot_do_is_refused_by_name(
    flavour: FlavourName, refused: set[str]
) -> None:
    found = set()
    for request in ASKED.values():
        try:
            FLAVOURS[flavour].capabilities.check(request)
        except UnsupportedParameterError as error:
            found.add(error.param)
    assert found == refused
