"""What `PINNED_PROMPTS` may name, and what becomes of it."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.assembly.pins import pinned_prompts, pinning_functions
from llm_api.config.settings import ConfigurationError, load_settings
from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.types import ChatPrompt, Message, ToolSpec
from tests.core.functions.fakes import RemoteFunction
from tests.fakes import MODEL_ID, FakeBackend, no_functions
from tests.live import PATIENCE_SECONDS

TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}


def test_a_text_is_a_system_prompt_and_json_a_request_with_its_tools(tmp_path: Path) -> None:
    text, request, functions = (tmp_path / name for name in ("a.txt", "b.json", "c.json"))
    text.write_text("Be brief.")
    turns = [{"role": "system", "content": "You are an agent."}]
    request.write_text(json.dumps({"messages": turns, "tools": [TOOL]}))
    functions.write_text(json.dumps({"messages": turns, "server_tools": "all"}))
    settings = load_settings(pinned_prompts=f"{text},{request},{functions}")
    of_text, of_request = pinned_prompts(settings)
    assert of_text.messages == (Message("system", "Be brief."),)
    assert of_request.messages == (Message("system", "You are an agent."),)
    assert of_request.tools == (ToolSpec("look", "Looks.", {"type": "object"}),)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("b.json", "{}"), ("c.json", '{"messages": 7}')]
)
def test_what_is_no_request_is_told_by_the_name_of_its_file(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"PINNED_PROMPTS: .*{name}"):
        pinned_prompts(load_settings(pinned_prompts=str(path)))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PINNED_PROMPTS"):
        pinned_prompts(load_settings(pinned_prompts=str(tmp_path / "none.txt")))


async def test_a_catalogue_of_functions_is_computed_once_for_every_key(tmp_path: Path) -> None:
    functions, backend = no_functions(), FakeBackend()
    spec = FunctionSpec("look", "Looks.", {"type": "object"})
    functions.catalog.add(RemoteFunction(spec=spec, origin=Origin("package", "house")))
    path = tmp_path / "pin.json"
    turns = [{"role": "system", "content": "You are an agent."}]
    path.write_text(json.dumps({"messages": turns, "server_tools": "all"}))
    named = [(MODEL_ID, load_settings(pinned_prompts=str(path)))]
    async with (
        aclosing(ModelRegistry([backend])) as models,
        pinning_functions(named, models, functions),
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        while not backend.completed:
            await asyncio.sleep(0.001)
    [request] = backend.completed
    assert isinstance(request.prompt, ChatPrompt)
    assert [tool.name for tool in request.prompt.tools] == ["look"]
    assert (request.context.scope, request.max_tokens) == (PINNED_SCOPE, 1)


async def test_a_function_that_is_not_there_is_told_and_nothing_else_happens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pin.json"
    turns = [{"role": "system", "content": "You are an agent."}]
    path.write_text(json.dumps({"messages": turns, "server_tools": ["none"]}))
    named = [(MODEL_ID, load_settings(pinned_prompts=str(path)))]
    async with (
        aclosing(ModelRegistry([FakeBackend()])) as models,
        pinning_functions(named, models, no_functions()),
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        while "PINNED_PROMPTS" not in caplog.text:
            await asyncio.sleep(0.001)
