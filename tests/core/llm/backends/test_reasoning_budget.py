"""A thought ends after its budget and an answer follows: by a model that never ends one itself.

Random weights, a token a byte, behind the real runner, grammars and reader.
"""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

import pytest
import pytest_asyncio

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    ReasoningDelta,
    RegexFormat,
    Sampling,
    Started,
    ToolChoice,
    ToolSpec,
)
from tests.core.llm.tiny_models import CONTROL_TOKENS, PLAIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

TURNS = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
TEMPLATES = {
    "opened by the template": f"{TURNS}<think>\n",
    "opened by the model": f"{TURNS}{{% if false %}}<think></think>{{% endif %}}",
    "switched": f"{TURNS}<think>{{% if enable_thinking is false %}}</think>{{% endif %}}",
}
OPTIONS = LlamaOptions(1024, 2, max_queue=8, context=ContextOptions(1, "off"), draft_tokens=4)
NO_END = tuple((token, -100.0) for token in range(len(CONTROL_TOKENS)))
"""Printable ASCII alone: what a thought says is text."""
UNPRINTABLE = tuple((3 + byte, -100.0) for byte in range(256) if not 32 <= byte < 127)
SAMPLING = Sampling(seed=1, logit_bias=NO_END + UNPRINTABLE)
PROMPT = ChatPrompt((Message("user", "hi"),))
SCHEMA = JSONFormat({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"],
                     "additionalProperties": False})  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def models(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[dict[str, EngineBackend], None]:
    async with AsyncExitStack() as stack:
        compute = await stack.enter_async_context(aclosing(ComputeThread()))
        opened = {}
        for name, template in TEMPLATES.items():
            path = PLAIN.write(tmp_path_factory.mktemp("model"), template)
            card = ModelCard("tiny", 0, "tests", OPTIONS.context_length)
            backend = await open_llama(path, card, OPTIONS, compute)
            opened[name] = await stack.enter_async_context(aclosing(backend))
        yield opened


async def answer(backend: EngineBackend, request: GenerationRequest) -> Completion:
    [completion] = await collect(fan_out(backend, [request]), 1)
    return completion


def asked(budget: int | None, max_tokens: int = 120) -> GenerationRequest:
    return GenerationRequest(PROMPT, max_tokens, SAMPLING, reasoning_budget=budget)


async def test_a_thought_ends_after_its_budget_and_the_answer_goes_on(
    models: dict[str, EngineBackend],
) -> None:
    said = await answer(models["opened by the template"], asked(20))
    assert len(said.reasoning) <= 20
    assert 15 <= said.finished.usage.reasoning_tokens <= 20
    assert len(said.text) > 80
    assert said.finished.usage.completion_tokens == 120


async def test_without_a_budget_a_quarter_is_left_to_the_answer(
    models: dict[str, EngineBackend],
) -> None:
    said = await answer(models["opened by the template"], asked(None, max_tokens=80))
    assert 40 <= len(said.reasoning) <= 80 - 20 - len("</think>")
    assert 15 <= len(said.text) <= 20


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_budget_of_none_is_no_thought(models: dict[str, EngineBackend], kind: str) -> None:
    said = await answer(models[kind], asked(0))
    assert said.reasoning == ""
    assert said.finished.usage.reasoning_tokens == 0
    assert len(said.text) > 80


async def test_a_format_holds_behind_the_thought(models: dict[str, EngineBackend]) -> None:
    request = replace(asked(20), output_format=RegexFormat("[0-9]{4}-abcd-[0-9]{4}"))
    said = await answer(models["opened by the template"], request)
    assert 15 <= len(said.reasoning) <= 20
    assert re.fullmatch("[0-9]{4}-abcd-[0-9]{4}", said.text)
    assert said.finished.reason == "stop"


async def test_a_schema_holds_behind_a_thought_that_leaves_little_room(
    models: dict[str, EngineBackend],
) -> None:
    # With log-probabilities no text is forced: this vocabulary has no token for a space.
    request = replace(asked(500, max_tokens=80), output_format=SCHEMA, top_logprobs=0)
    said = await answer(models["opened by the template"], request)
    assert 40 <= len(said.reasoning) <= 80 - 20 - len("</think>")
    assert isinstance(json.loads(said.text)["a"], bool)


async def test_a_call_comes_behind_the_thought(models: dict[str, EngineBackend]) -> None:
    request = replace(
        asked(20, max_tokens=300),
        prompt=replace(PROMPT, tools=(ToolSpec("act", "", SCHEMA.schema, is_strict=True),)),
        tool_choice=ToolChoice("required", frozenset({"act"}), is_parallel=False),
        top_logprobs=0,
    )
    said = await answer(models["opened by the template"], request)
    assert 15 <= len(said.reasoning) <= 20
    [call] = said.tool_calls
    assert isinstance(json.loads(call.arguments)["a"], bool)


async def test_an_answer_without_a_thought_is_left_alone(models: dict[str, EngineBackend]) -> None:
    free = await answer(models["opened by the model"], asked(None))
    bounded = await answer(models["opened by the model"], asked(5))
    assert free.text == bounded.text
    assert len(free.text) > 100


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("off", [{"reasoning_effort": "none"}, {"enable_thinking": False}])
async def test_an_effort_of_none_is_a_budget_of_none(
    models: dict[str, EngineBackend], name: str, off: dict[str, JSON]
) -> None:
    prompt = replace(PROMPT, variables=off)
    async with aclosing(models[name].generate(replace(asked(None, 8), prompt=prompt))) as events:
        said = [event async for event in events]
    assert isinstance(said[0], Started)
    assert said[0].ignored == ()
    assert not any(isinstance(event, ReasoningDelta) for event in said)
