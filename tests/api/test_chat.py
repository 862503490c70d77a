"""Chat completions that are not streamed, and what reaches the backend."""

from typing import Any

import httpx2
import pytest
from openai.types.chat import ChatCompletion

from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.core.llm.types import ChatPrompt, Message, Sampling, TextDelta
from tests.api.bodies import chat
from tests.fakes import ALIAS, MODEL_ID, FakeBackend, sampled, spoken

CHAT = "/v1/chat/completions"


async def post(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    """The answer, valid by the official SDK's own types."""
    response = await client.post(CHAT, json=chat(**fields))
    assert response.status_code == 200, response.text
    ChatCompletion.model_validate_json(response.content, strict=True)
    return dict(response.json())


async def test_an_answer_has_exactly_the_official_fields(client: httpx2.AsyncClient) -> None:
    answer = await post(client)
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer.pop("system_fingerprint").startswith("fp_")
    assert answer == {
        "object": "chat.completion",
        "model": MODEL_ID,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello world!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 3,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


async def test_an_empty_answer_is_an_empty_string(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken(reason="length")
    [choice] = (await post(client))["choices"]
    assert choice["message"]["content"] == ""
    assert choice["finish_reason"] == "length"


async def test_an_answer_that_was_withheld_says_so(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Well", reason="content_filter")
    [choice] = (await post(client))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Well", "content_filter")


async def test_the_fingerprint_is_the_same_for_the_same_model(client: httpx2.AsyncClient) -> None:
    first, second = await post(client), await post(client, seed=1)
    assert first["system_fingerprint"] == second["system_fingerprint"]
    assert first["id"] != second["id"]


async def test_an_alias_is_answered_under_the_models_own_id(client: httpx2.AsyncClient) -> None:
    assert (await post(client, model=ALIAS))["model"] == MODEL_ID


async def test_several_choices_count_their_prompt_once(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda request: spoken(f"{request.sampling.seed}")
    answer = await post(client, n=3, seed=40)
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert texts == ["40", "41", "42"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["prompt_tokens"] == 5
    assert answer["usage"]["completion_tokens"] == 3


async def test_what_is_not_said_comes_from_the_settings(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await post(client)
    [request] = backend.requests
    assert request.max_tokens is None  # to the end
    assert request.sampling == Sampling(temperature=0.2)
    assert (request.stop, request.top_logprobs, request.ignore_eos) == ((), None, False)


async def test_null_means_absent(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    await post(client)
    optional = ChatCompletionRequest.model_fields.keys() - {"model", "messages"}
    assert len(optional) > 30
    await post(client, **dict.fromkeys(optional))
    assert backend.requests[0] == backend.requests[1]


async def test_every_parameter_reaches_the_backend(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await post(
        client, max_completion_tokens=7, stop=["a", "b", "a"], seed=3, temperature=0, top_p=0.5,
        logprobs=True, top_logprobs=4, logit_bias={"5": -100, "6": 1.5}, presence_penalty=1,
        frequency_penalty=-1, top_k=40, min_p=0.1, typical_p=0.9, repetition_penalty=1.1,
        mirostat=2, mirostat_tau=4, mirostat_eta=0.2, ignore_eos=True,
    )  # fmt: skip
    [request] = backend.requests
    assert request.max_tokens == 7
    assert request.stop == ("a", "b")
    assert request.top_logprobs == 4
    assert request.ignore_eos is True
    assert request.sampling == Sampling(
        temperature=0, top_p=0.5, top_k=40, min_p=0.1, typical_p=0.9, repeat_penalty=1.1,
        presence_penalty=1, frequency_penalty=-1, logit_bias=((5, -100.0), (6, 1.5)), seed=3,
        mirostat=2, mirostat_tau=4, mirostat_eta=0.2,
    )  # fmt: skip


async def test_logprobs_alone_ask_for_no_candidates(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await post(client, logprobs=True)
    await post(client, logprobs=False)
    assert [request.top_logprobs for request in backend.requests] == [0, None]


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 9, "max_completion_tokens": 9},
        {"max_tokens": 9},
        {"max_completion_tokens": 9},
    ],
)
async def test_both_names_of_the_token_limit_work(
    client: httpx2.AsyncClient, backend: FakeBackend, fields: dict[str, object]
) -> None:
    await post(client, **fields)
    assert backend.requests[0].max_tokens == 9


async def test_messages_become_plain_turns(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    earlier_answer: dict[str, object] = {
        "role": "assistant", "content": "", "refusal": None, "annotations": [], "audio": None,
        "function_call": None, "tool_calls": None,
    }  # fmt: skip
    await post(
        client,
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": parts, "name": "ann"},
            earlier_answer,
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": ""},
        ],
    )
    assert backend.requests[0].prompt == ChatPrompt(
        (
            Message("system", "Be kind."),
            Message("user", "ab", "ann"),
            Message("assistant", ""),
            Message("system", "Be brief."),
            Message("user", ""),
        )
    )


async def test_template_variables_reach_the_template(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await post(client, chat_template_kwargs={"enable_thinking": False}, reasoning_effort="low")
    prompt = backend.requests[0].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.variables == {"enable_thinking": False, "reasoning_effort": "low"}


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "text"}},
        {"tool_choice": "none"},
        {"function_call": "none"},
        {"parallel_tool_calls": True},
        {"store": False},
        {"metadata": {"a": "b"}},
        {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"},
        {"prediction": {"type": "content", "content": "x"}},
        {"modalities": ["text"]},
        {"service_tier": "auto"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_what_changes_no_meaning_is_accepted(
    client: httpx2.AsyncClient, backend: FakeBackend, fields: dict[str, object]
) -> None:
    await post(client)
    await post(client, **fields)
    assert backend.requests[0] == backend.requests[1]


async def test_the_service_tier_is_told_if_asked_for(client: httpx2.AsyncClient) -> None:
    assert (await post(client, service_tier="auto"))["service_tier"] == "default"
    assert "service_tier" not in await post(client)


async def test_logprobs_have_the_official_shape(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    euro = sampled("€".encode()[:2], float("-inf"), (b"$", -1.5))
    [started, _, finished] = spoken("€")
    delta = TextDelta("€", (euro, sampled("€".encode()[2:], -0.25)))
    backend.script = lambda _: [started, delta, finished]
    [choice] = (await post(client, logprobs=True, top_logprobs=2))["choices"]
    half = {"token": "\\xe2\\x82", "logprob": -9999.0, "bytes": [0xE2, 0x82]}
    rest = {"token": "\\xac", "logprob": -0.25, "bytes": [0xAC]}
    dollar = {"token": "$", "logprob": -1.5, "bytes": [36]}
    assert choice["logprobs"] == {
        "content": [
            {**half, "top_logprobs": [half, dollar]},
            {**rest, "top_logprobs": [rest]},
        ],
        "refusal": None,
    }


@pytest.mark.parametrize(
    "said",
    [
        {"content": None, "refusal": "I cannot."},
        {"refusal": "I cannot."},
        {"content": [{"type": "refusal", "refusal": "I cannot."}]},
        {"content": [{"type": "text", "text": "I "}, {"type": "refusal", "refusal": "cannot."}]},
    ],
)
async def test_an_earlier_refusal_is_what_the_assistant_said(
    client: httpx2.AsyncClient, backend: FakeBackend, said: dict[str, object]
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", **said}]
    await post(client, messages=[*turns, {"role": "user", "content": "Why?"}])
    [request] = backend.requests
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[1] == Message("assistant", "I cannot.")


async def test_a_refusal_is_only_the_assistant_s(client: httpx2.AsyncClient) -> None:
    part = {"type": "refusal", "refusal": "No."}
    response = await client.post(CHAT, json=chat(messages=[{"role": "user", "content": [part]}]))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "messages[0].content[0].type"


async def test_an_answer_that_was_cut_is_an_error(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Hel")[:-1]
    response = await client.post(CHAT, json=chat())
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "generation_failed"


async def test_a_failing_choice_ends_the_others(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    def script(request: Any) -> Any:
        return [ValueError("x")] if request.sampling.seed == 1 else spoken("a", pause_seconds=60)

    backend.script = script
    response = await client.post(CHAT, json=chat(n=2, seed=0))
    assert response.status_code == 500
    assert [request.sampling.seed for request in backend.aborted] == [0]
