"""What the settings and the file mean becomes backends, without contacting any server."""

import logging
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.assembly.local_models import find_models
from llm_api.assembly.models import open_models
from llm_api.config.chosen_models import choose_models
from llm_api.config.settings import Settings, load_settings
from llm_api.core.errors import UpstreamTimeoutError
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    ServedBy,
    Started,
)
from tests.cli.command import environment
from tests.core.llm.gateway.routing.fakes import text_of
from tests.core.llm.tiny_models import GUESSING
from tests.core.llm.tiny_transformers import make_llama

HELLO = GenerationRequest(ChatPrompt((Message("user", "Hello there"),)), 20)

NOWHERE = "http://127.0.0.1:9"

EVERY_SERVER = f"""
models:
  a: {{backend: openai, url: {NOWHERE}, temperature: 0.5, context_length: 99}}
  b: {{backend: vllm, replicas: [{{url: {NOWHERE}}}, {{url: {NOWHERE}}}], aliases: [x]}}
  c: {{backend: llama-server, url: {NOWHERE}}}
  d: {{backend: ollama, url: {NOWHERE}}}
  e: {{backend: claude, url: {NOWHERE}}}
  f: {{backend: huggingface, mode: cloud, url: {NOWHERE}}}
  g: {{backend: markov}}
  h: {{backend: ollama, url: {NOWHERE}, fallbacks: [a, stub]}}
"""


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def settings_with(text: str) -> Settings:
    Path("models.yaml").write_text(text, encoding="utf-8")
    return load_settings(config_file="models.yaml")


async def test_a_file_answers_to_its_name_without_its_quantisation(tmp_path: Path) -> None:
    link = tmp_path / "llama-2-7b-chat.Q4_K_M.gguf"
    link.symlink_to(default_model_path())
    chosen = choose_models(load_settings(model_path=link))
    async with (
        aclosing(ComputeThread()) as compute,
        open_models(chosen, find_models(chosen), compute) as models,
    ):
        assert models.resolve("llama-2-7b-chat").card.id == "llama-2-7b-chat.Q4_K_M"
        assert len(models.cards()) == 1


async def test_every_kind_of_server_is_there_at_once() -> None:
    chosen = choose_models(settings_with(EVERY_SERVER))
    async with aclosing(ComputeThread()) as compute, open_models(chosen, (), compute) as models:
        assert models.is_ready
        cards = {card.id: card for card in models.cards()}
        assert {name: card.backend for name, card in cards.items()} == {
            "a": "openai",
            "b": "vllm",
            "c": "llama-server",
            "d": "ollama",
            "e": "claude",
            "f": "huggingface",
            "g": "markov",
            "h": "ollama",
            "stub": "stub",
        }
        assert all("tools" in card.capabilities.abilities for card in list(cards.values())[:6])
        assert models.resolve("x").card is not None
        assert (cards["a"].context_length, cards["b"].context_length) == (99, None)
        temperatures = [card.defaults.temperature for card in cards.values()]
        assert temperatures == [0.5, 1, 1, 1, 1, 1, 0.2, 1, 0.2]


async def test_the_stub_stands_in_for_servers_that_cannot_be_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    chosen = choose_models(settings_with(EVERY_SERVER))
    async with aclosing(ComputeThread()) as compute, open_models(chosen, (), compute) as models:
        events = [event async for event in models.resolve("h").generate(HELLO)]
    assert isinstance(events[0], Started)
    assert events[0].served_by == ServedBy("stub", fallback="stub")
    assert text_of(events) == "Hello there"


async def test_transformers_are_loaded_when_they_are_asked_for(tmp_path: Path) -> None:
    folder = make_llama(tmp_path)
    settings = load_settings(llm_backend="huggingface", hf_model=str(folder), max_tokens=4)
    async with (
        aclosing(ComputeThread()) as compute,
        open_models(choose_models(settings), (), compute) as models,
    ):
        assert not models.is_ready
        await models.load_startup_models()
        [card] = models.cards()
        assert (card.id, card.backend) == (folder.name, "huggingface")
        assert "tools" in card.capabilities.abilities  # by prompt
        events = [event async for event in models.resolve(folder.name).generate(HELLO)]
        assert isinstance(events[-1], Finished)
        [counted] = await models.resolve(folder.name).count_tokens(["Hello there"])
        assert counted > 0


async def test_limits_of_time_hold_for_the_own_engine_too() -> None:
    text = """
models:
  quick: {default: true, parallel: 1, context_length: 64, first_token_seconds: 60}
  slow: {default: true, parallel: 1, context_length: 2048, total_seconds: 0.1}
"""
    chosen = choose_models(settings_with(text))
    async with (
        aclosing(ComputeThread()) as compute,
        open_models(chosen, find_models(chosen), compute) as models,
    ):
        [started, *_] = [event async for event in models.resolve("quick").generate(HELLO)]
        assert isinstance(started, Started)
        assert started.served_by == ServedBy("llama")
        endless = replace(HELLO, max_tokens=1900, ignore_eos=True)
        with pytest.raises(UpstreamTimeoutError):
            [event async for event in models.resolve("slow").generate(endless)]


def test_without_an_own_engine_or_a_state_neither_is_imported(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from llm_api.config.settings import load_settings
from llm_api.main import create_app

async def start():
    app = create_app(load_settings())
    async with app.router.lifespan_context(app):
        await app.state.services.models.load_startup_models()
        assert app.state.services.is_ready

asyncio.run(start())
heavy = {"llama_cpp", "llguidance", "torch", "transformers", "sentence_transformers", "sqlalchemy"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(LLM_BACKEND="stub"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_layers_that_guess_ahead_are_used_where_they_are_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = GUESSING.write(tmp_path)
    unknown = tmp_path / "unknown.gguf"
    unknown.write_bytes(known.read_bytes().replace(b"glm4moe", b"glm5moe"))
    settings = Settings(model_path=known, context_length=256, parallel=1)
    for path, changes, is_used in (
        (known, {}, True),
        (known, {"mtp": False}, False),
        (known, {"draft_model": default_model_path()}, False),
        (unknown, {}, False),
    ):
        caplog.clear()
        with caplog.at_level(logging.INFO, "llm_api.assembly"):
            changed = settings.model_copy(update={"model_path": path, **changes})
            [found] = find_models(choose_models(changed))
        assert found.options.model.has_mtp is is_used
        assert ("MTP layers" in caplog.text) is (path == unknown)
