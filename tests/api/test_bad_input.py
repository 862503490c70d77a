"""Whatever is wrong with a request: a 4xx in the envelope that names the parameter, at once."""

import gc
import json
from functools import partial
from typing import Any

import httpx2
import pytest

from llm_api.api.policy import DEFAULT_BODY_BYTES
from tests.api.bodies import HELLO, chat, completion, tool
from tests.costs import least_seconds
from tests.fakes import FakeBackend

CHAT = "/v1/chat/completions"
LEGACY = "/v1/completions"
JSON_HEADERS = {"content-type": "application/json"}


def assert_envelope(response: httpx2.Response) -> dict[str, Any]:
    """The `error` object, after checking what is true of all of them."""
    body = response.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert isinstance(error["message"], str)
    assert 0 < len(error["message"]) <= 1000
    assert isinstance(error["type"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    return dict(error)


def messages(*items: object) -> dict[str, object]:
    return {"messages": list(items)}


CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def user(content: object) -> dict[str, object]:
    return messages({"role": "user", "content": content})


RAW_BODIES = {
    "not JSON": b"hello",
    "empty": b"",
    "cut": b'{"model": "x", ',
    "nested brackets": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "nested in a field": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "lone surrogate": json.dumps(chat(messages=[{"role": "user", "content": "\ud800"}])).encode(),
    "lone surrogate as a key": b'{"\\udc00": 1}',
    "NaN": json.dumps(chat(temperature=float("nan"))).encode(),
    "Infinity": json.dumps(chat(temperature=float("inf"))).encode(),
    "broken UTF-8": b'{"model": "\xff"}',
    "encoded surrogate": b'{"model": "\xed\xa0\x80"}',
    "huge integer": b'{"seed": ' + b"9" * 100_000 + b"}",
    "trailing text": b"{} {}",
    "array": b"[]",
    "null": b"null",
    "string": b'"model"',
    "number": b"1",
}


@pytest.mark.parametrize("path", [CHAT, LEGACY])
@pytest.mark.parametrize("name", RAW_BODIES)
async def test_a_body_that_is_no_json_object_is_refused_at_once(
    client: httpx2.AsyncClient, backend: FakeBackend, path: str, name: str
) -> None:
    send = partial(client.post, path, content=RAW_BODIES[name], headers=JSON_HEADERS)
    assert await least_seconds(send) < 1
    response = await send()
    assert response.status_code == 400
    assert assert_envelope(response)["type"] == "invalid_request_error"
    assert backend.requests == []


CHAT_TABLE: list[tuple[dict[str, object], str, str]] = [
    ({"messages": None}, "messages", "invalid_type"),
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": {}}, "messages", "invalid_type"),
    ({"messages": "Hi"}, "messages", "invalid_type"),
    (messages("Hi"), "messages[0]", "invalid_type"),
    (messages(*HELLO, None), "messages[1]", "invalid_type"),
    (messages({"content": "Hi"}), "messages[0].role", "missing_required_parameter"),
    (messages({"role": "wizard", "content": "Hi"}), "messages[0].role", "invalid_value"),
    (messages({"role": 1, "content": "Hi"}), "messages[0].role", "invalid_value"),
    (messages({"role": "user"}), "messages[0].content", "missing_required_parameter"),
    (user(None), "messages[0].content", "missing_required_parameter"),
    (user(7), "messages[0].content", "invalid_type"),
    (user({"text": "Hi"}), "messages[0].content", "invalid_type"),
    (user([]), "messages[0].content", "invalid_value"),
    (user(["Hi"]), "messages[0].content[0]", "invalid_type"),
    (user([{"text": "Hi"}]), "messages[0].content[0].type", "missing_required_parameter"),
    (user([{"type": "video"}]), "messages[0].content[0].type", "invalid_value"),
    (user([{"type": "text"}]), "messages[0].content[0].text", "missing_required_parameter"),
    (user([{"type": "text", "text": 1}]), "messages[0].content[0].text", "invalid_type"),
    (messages({"role": "user", "content": "Hi", "mood": 1}), "messages[0].mood",
     "unsupported_parameter"),
    (messages({"role": "user", "content": "Hi", "name": ""}), "messages[0].name", "invalid_value"),
    (messages({"role": "assistant", "content": None}), "messages[0].content",
     "missing_required_parameter"),
    ({"model": None}, "model", "invalid_type"),
    ({"model": ""}, "model", "invalid_value"),
    ({"model": 5}, "model", "invalid_type"),
    ({"max_tokens": -2}, "max_tokens", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"n_predict": 0}, "n_predict", "invalid_value"),
    ({"n_predict": 4, "max_tokens": 5}, "n_predict", "invalid_request"),
    ({"n_probs": 3, "logprobs": True, "top_logprobs": 4}, "n_probs", "invalid_request"),
    ({"think": 1}, "think", "invalid_type"),
    ({"think": True, "enable_thinking": False}, "think", "invalid_request"),
    ({"thinking": {"type": "often"}}, "thinking.type", "invalid_value"),
    ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, "reasoning.effort",
     "invalid_request"),
    ({"reasoning_effort": "low", "chat_template_kwargs": {"reasoning_effort": "high"}},
     "chat_template_kwargs.reasoning_effort", "invalid_request"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ({"max_tokens": True}, "max_tokens", "invalid_type"),
    ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
    ({"max_tokens": 2**31}, "max_tokens", "invalid_value"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "invalid_value"),
    ({"max_completion_tokens": 4, "max_tokens": 5}, "max_tokens", "invalid_request"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"temperature": -0.1}, "temperature", "invalid_value"),
    ({"temperature": [1]}, "temperature", "invalid_type"),
    ({"top_p": -0.1}, "top_p", "invalid_value"),
    ({"top_p": 1.01}, "top_p", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"n": 17}, "n", "invalid_value"),
    ({"stop": ""}, "stop", "invalid_value"),
    ({"stop": ["a", ""]}, "stop[1]", "invalid_value"),
    ({"stop": list("abcde")}, "stop", "invalid_value"),
    ({"stop": 3}, "stop", "invalid_type"),
    ({"seed": 1.5}, "seed", "invalid_type"),
    ({"seed": 2**63}, "seed", "invalid_value"),
    ({"logprobs": 1}, "logprobs", "invalid_type"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_request"),
    ({"logit_bias": {"a": 1}}, "logit_bias.a", "invalid_value"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1", "invalid_value"),
    ({"logit_bias": []}, "logit_bias", "invalid_type"),
    ({"presence_penalty": 2.5}, "presence_penalty", "invalid_value"),
    ({"frequency_penalty": -2.5}, "frequency_penalty", "invalid_value"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_request"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage",
     "invalid_type"),
    ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x", "unsupported_parameter"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ({"mirostat": 3}, "mirostat", "invalid_value"),
    ({"top_k": 3, "options": {"top_k": 4}}, "options.top_k", "invalid_request"),
    ({"n_predict": 3, "options": {"num_predict": 4}}, "options.num_predict", "invalid_request"),
    ({"options": {"mood": 4}}, "options.mood", "unsupported_parameter"),
    ({"dry_base": 0.5}, "dry_base", "invalid_value"),
    ({"dry_allowed_length": 0}, "dry_allowed_length", "invalid_value"),
    ({"dry_sequence_breakers": ["a", ""]}, "dry_sequence_breakers[1]", "invalid_value"),
    ({"dry_sequence_breakers": ["a"] * 17}, "dry_sequence_breakers", "invalid_value"),
    ({"repeat_last_n": -2}, "repeat_last_n", "invalid_value"),
    ({"xtc_probability": 2}, "xtc_probability", "invalid_value"),
    ({"samplers": ["top_z"]}, "samplers[0]", "invalid_value"),
    ({"samplers": ["temperature", "top_k"]}, "samplers", "unsupported_parameter"),
    ({"lora": [{"id": "a"}, {"id": "a"}]}, "lora", "invalid_request"),
    ({"lora": [{"scale": 1}]}, "lora[0].id", "missing_required_parameter"),
    ({"min_p": 1.5}, "min_p", "invalid_value"),
    ({"repeat_penalty": 1.1, "repetition_penalty": 1.2}, "repetition_penalty", "invalid_request"),
    ({"chat_template_kwargs": [1]}, "chat_template_kwargs", "invalid_type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tools": [tool("no spaces")]}, "tools[0].function.name", "invalid_value"),
    ({"tools": [tool("f"), tool("f")]}, "tools", "invalid_request"),
    ({"tools": [tool(f"f{number}") for number in range(129)]}, "tools", "invalid_value"),
    ({"tools": [tool("f")], "tool_choice": "always"}, "tool_choice", "invalid_value"),
    ({"tools": [tool("f")], "tool_choice": 1}, "tool_choice", "invalid_type"),
    ({"tools": [tool("f")], "tool_choice": {"type": "function"}}, "tool_choice.function",
     "missing_required_parameter"),
    ({"tools": [tool("f")], "tool_choice": {"type": "function", "function": {"name": "g"}}},
     "tool_choice.function.name", "invalid_request"),
    ({"tools": [tool("f")], "tool_choice": {"type": "allowed_tools"}},
     "tool_choice.allowed_tools", "missing_required_parameter"),
    ({"tools": [tool("f")], "tool_choice": {"type": "allowed_tools", "allowed_tools": {
        "mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}}},
     "tool_choice.allowed_tools.tools", "invalid_request"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_request"),
    ({"tools": [tool("f")], "functions": [{"name": "f"}]}, "tools", "invalid_request"),
    ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call.name",
     "invalid_request"),
    ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call",
     "invalid_value"),
    ({"function_call": {"name": "f"}}, "function_call", "invalid_request"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema",
     "missing_required_parameter"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
     "response_format.json_schema.name", "missing_required_parameter"),
    ({"response_format": {"type": "json_object"}, "guided_regex": "a"}, "response_format",
     "invalid_request"),
    ({"guided_choice": ["a"], "guided_regex": "a"}, "guided_choice", "invalid_request"),
    ({"guided_choice": []}, "guided_choice", "invalid_value"),
    ({"guided_choice": ["a", ""]}, "guided_choice[1]", "invalid_value"),
    ({"grammar": ""}, "grammar", "invalid_value"),
    (messages({"role": "tool", "content": "1"}), "messages[0].tool_call_id",
     "missing_required_parameter"),
    (messages({"role": "function", "content": "1"}), "messages[0].name",
     "missing_required_parameter"),
    (messages({"role": "tool", "tool_call_id": "c"}), "messages[0].content",
     "missing_required_parameter"),
    (messages({"role": "tool", "tool_call_id": "c", "content": "1"}),
     "messages[0].tool_call_id", "invalid_request"),
    (messages(CALL, {"role": "tool", "tool_call_id": "other", "content": "1"}),
     "messages[1].tool_call_id", "invalid_request"),
    (messages({"role": "tool", "tool_call_id": "c", "content": "1"}, CALL),
     "messages[0].tool_call_id", "invalid_request"),
    (messages(CALL, {"role": "function", "name": "g", "content": "1"}),
     "messages[1].name", "invalid_request"),
    (messages({"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}),
     "messages[0].tool_calls[0].function", "missing_required_parameter"),
    (messages({"role": "assistant", "content": None, "tool_calls": []}), "messages[0].content",
     "missing_required_parameter"),
    # Known, and refused by name.
    ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type",
     "unsupported_parameter"),
    ({"tools": [tool("f")], "tool_choice": {"type": "custom", "custom": {"name": "c"}}},
     "tool_choice.type", "unsupported_parameter"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"moderation": {}}, "moderation", "unsupported_parameter"),
    ({"min_tokens": 5}, "min_tokens", "unsupported_parameter"),
    ({"skip_special_tokens": False}, "skip_special_tokens", "unsupported_parameter"),
    ({"best_answers": 2}, "best_answers", "unsupported_parameter"),
    (user([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]),
     "messages[0].content[1].type", "unsupported_parameter"),
    (user([{"type": "input_audio", "input_audio": {}}]), "messages[0].content[0].type",
     "unsupported_parameter"),
    (user([{"type": "file"}]), "messages[0].content[0].file", "missing_required_parameter"),
    (user([{"type": "file", "file": {}}]), "messages[0].content[0].file.file_data",
     "missing_required_parameter"),
    (user([{"type": "file", "file": {"file_data": "!"}}]),
     "messages[0].content[0].file.file_data", "invalid_request"),
    (messages({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}),
     "messages[0].tool_calls[0].type", "unsupported_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param", "code"), CHAT_TABLE, ids=[str(row[0])[:70] for row in CHAT_TABLE]
)
async def test_a_bad_chat_parameter_is_refused_by_name(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    fields: dict[str, object],
    param: str,
    code: str,
) -> None:
    response = await client.post(CHAT, json=chat(**fields))
    assert response.status_code == 400, response.text
    error = assert_envelope(response)
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert param in error["message"]
    assert backend.requests == []


LEGACY_TABLE: list[tuple[dict[str, object], str, str]] = [
    ({"prompt": None}, "prompt", "invalid_type"),
    ({"prompt": []}, "prompt", "invalid_type"),
    ({"prompt": 5}, "prompt", "invalid_type"),
    ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
    ({"prompt": [1, "a"]}, "prompt[1]", "invalid_type"),
    ({"prompt": [1, -1]}, "prompt[1]", "invalid_value"),
    ({"prompt": [True]}, "prompt", "invalid_type"),
    ({"prompt": [[]]}, "prompt[0]", "invalid_value"),
    ({"prompt": [[1], [1.5]]}, "prompt[1][0]", "invalid_type"),
    ({"prompt": ["a"] * 65}, "prompt", "invalid_value"),
    ({"prompt": ["a"] * 64, "n": 16}, "n", "invalid_request"),
    ({"max_tokens": -2}, "max_tokens", "invalid_value"),
    ({"n_predict": 3, "max_tokens": 4}, "n_predict", "invalid_request"),
    ({"n_probs": 3, "logprobs": 4}, "n_probs", "invalid_request"),
    ({"echo": True, "n_probs": 2}, "echo", "unsupported_parameter"),
    ({"logprobs": 6}, "logprobs", "invalid_value"),
    ({"logprobs": True}, "logprobs", "invalid_type"),
    ({"suffix": 1}, "suffix", "invalid_type"),
    ({"suffix": "end", "prompt": [1, 2]}, "suffix", "unsupported_parameter"),
    ({"best_of": 2}, "best_of", "unsupported_parameter"),
    ({"echo": True, "logprobs": 0}, "echo", "unsupported_parameter"),
    ({"echo": True, "prompt": [1, 2]}, "echo", "unsupported_parameter"),
    ({"messages": []}, "messages", "unsupported_parameter"),
    ({"stream_options": {}}, "stream_options", "invalid_request"),
]


@pytest.mark.parametrize(
    ("fields", "param", "code"), LEGACY_TABLE, ids=[str(row[0])[:70] for row in LEGACY_TABLE]
)
async def test_a_bad_legacy_parameter_is_refused_by_name(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    fields: dict[str, object],
    param: str,
    code: str,
) -> None:
    response = await client.post(LEGACY, json=completion(**fields))
    assert response.status_code == 400, response.text
    error = assert_envelope(response)
    assert (error["param"], error["code"]) == (param, code)
    assert backend.requests == []


@pytest.mark.parametrize("field", ["model", "messages"])
async def test_a_missing_parameter_is_named(client: httpx2.AsyncClient, field: str) -> None:
    body = chat()
    del body[field]
    error = assert_envelope(await client.post(CHAT, json=body))
    assert (error["param"], error["code"]) == (field, "missing_required_parameter")


@pytest.mark.parametrize("value", ["1e999", "-1e999"])
async def test_a_number_that_overflows_is_not_taken_for_infinity(
    client: httpx2.AsyncClient, value: str
) -> None:
    plain = json.dumps(chat(temperature=0.5)).replace("0.5", value)
    response = await client.post(CHAT, content=plain, headers=JSON_HEADERS)
    assert response.status_code == 400
    assert assert_envelope(response)["param"] == "temperature"

    nested = json.dumps(chat(chat_template_kwargs={"a": [0.5]})).replace("0.5", value)
    response = await client.post(CHAT, content=nested, headers=JSON_HEADERS)
    assert response.status_code == 400
    assert assert_envelope(response)["param"] == "chat_template_kwargs.a[0]"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_only_a_json_content_type_is_read(
    client: httpx2.AsyncClient, backend: FakeBackend, content_type: str
) -> None:
    response = await client.post(
        CHAT, content=json.dumps(chat()), headers={"content-type": content_type}
    )
    assert response.status_code == 415
    assert assert_envelope(response)["code"] == "unsupported_content_type"
    assert backend.requests == []


async def test_a_json_content_type_may_name_its_charset(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    response = await client.post(CHAT, content=json.dumps(chat()), headers=headers)
    assert response.status_code == 200


async def test_a_body_beyond_the_limit_is_refused(client: httpx2.AsyncClient) -> None:
    body = b" " * (DEFAULT_BODY_BYTES + 1)
    response = await client.post(CHAT, content=body, headers=JSON_HEADERS)
    assert response.status_code == 413
    assert assert_envelope(response)["code"] == "request_too_large"


MANY = 600_000

CROWDED: dict[str, tuple[str, dict[str, object]]] = {
    "token lists": (LEGACY, completion(prompt=[["a"] * (MANY // 64)] * 64)),
    "parts": (CHAT, chat(messages=[{"role": "user", "content": [1] * 600}] * 1000)),
    "fields": (CHAT, chat(**{f"a{number}": 1 for number in range(MANY)})),
    "message fields": (CHAT, chat(messages=[{f"a{number}": 1 for number in range(MANY)}])),
    "biases": (CHAT, chat(logit_bias={f"a{number}": 1 for number in range(MANY)})),
    "metadata": (CHAT, chat(metadata={f"a{number}": 1 for number in range(MANY)})),
    "template variables": (CHAT, chat(chat_template_kwargs={"a": [[1]] * MANY})),
}


@pytest.fixture
def own_heap() -> None:
    """What other tests have left in memory is not looked through while this one runs."""
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("own_heap")
@pytest.mark.parametrize("name", CROWDED)
async def test_a_body_with_a_mistake_in_every_corner_is_refused_at_the_first(
    client: httpx2.AsyncClient, name: str
) -> None:
    path, body = CROWDED[name]
    send = partial(client.post, path, content=json.dumps(body), headers=JSON_HEADERS)
    assert await least_seconds(send) < 1
    response = await send()
    assert response.status_code == 400
    assert_envelope(response)


async def test_a_body_parsed_in_a_thread_is_read_as_any_other(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    text = "ä" * 100_000
    body = chat(messages=[{"role": "user", "content": text}])
    assert (await client.post(CHAT, json=body)).status_code == 200
    [message] = backend.requests[0].prompt.messages  # type: ignore[union-attr]
    assert message.content == text


async def test_an_unknown_field_of_any_length_makes_a_short_answer(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.post(CHAT, json=chat(**{"x" * 100_000: 1}))
    assert assert_envelope(response)["code"] == "unsupported_parameter"
    assert len(response.content) < 5000
