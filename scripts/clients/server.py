"""The server that the clients talk to: this one, in a process, over the script or a real model."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server
from scripts.clients.loopback import HOST, serving
from scripts.clients.script import MODEL
from scripts.clients.scripted import ScriptedModel

CONTEXT_LENGTH: Final = 24_576
"""An agent's instructions and tools are 10,000 tokens."""


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    model: str


@contextmanager
def served(folder: Path, model: Path | None) -> Iterator[Served]:
    """The server with a model's file, or with the scripted model. Raises StartError."""
    with ExitStack() as stack:
        if model is None:
            name, settings = MODEL, scripted_settings(stack.enter_context(serving(ScriptedModel)))
        else:
            name, settings = model.stem, _model_settings(model)
        port = free_port()
        variables = settings | {"PORT": str(port)}
        variables |= {"DATA_DIR": str(folder / "data"), "LOG_FILE": str(folder / "log.jsonl")}
        command = Command(
            (sys.executable, "-m", "llm_api"), "/health/ready", tuple(variables.items())
        )
        stack.enter_context(running_server("the server", command, folder / "server.log", port))
        yield Served(port, name)


def scripted_settings(upstream: int) -> dict[str, str]:
    """The settings with which the server asks the scripted model on this port."""
    return {
        "LLM_BACKEND": "vllm",
        "OPENAI_BASE_URL": f"http://{HOST}:{upstream}/v1",
        "OPENAI_MODEL": MODEL,
    }


def _model_settings(model: Path) -> dict[str, str]:
    return {
        "MODEL_PATH": str(model.resolve()),
        "CONTEXT_LENGTH": str(CONTEXT_LENGTH),
        "PARALLEL": "1",
        "MAX_TOKENS": "1024",
    }
