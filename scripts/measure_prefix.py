"""Measures how much of an agent's prompt is computed again when one line of it has changed.

    python -m scripts.measure_prefix [--model FILE.gguf]

The system prompt has 5,000 tokens and a dozen tools; its first line is a mark of the request or the
date. Two requests differ in that line alone. What is computed is `usage`: the prompt's tokens
without those that were cached. The same is done with `VOLATILE_LINES=none`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from llm_api.core.llm.files.installed import default_model_path
from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server

SENTENCES = 230
TOOLS = 12
LINES = {
    "a mark of the request": "x-anthropic-billing-header: cc_version=2.1.{}; cch={};",
    "the date": "Today's date: Mon Nov {} 2026, week {}",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Tokens of a prompt, and those of them that were computed in the first and second request."""

    prompt: int
    first: int
    second: int

    def __str__(self) -> str:
        share = self.second / self.first
        return f"{self.prompt} tokens, computed {self.first}, then {self.second} ({share:.1%})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_prefix")
    parser.add_argument("--model", type=Path, default=default_model_path())
    model: Path = parser.parse_args(arguments).model.resolve()
    for name, setting in (("moved (the default)", None), ("VOLATILE_LINES=none", "none")):
        with TemporaryDirectory() as folder, _server(Path(folder), model, setting) as url:
            client = OpenAI(base_url=f"{url}/v1", api_key="unused", timeout=900)
            for what, line in LINES.items():
                sys.stdout.write(f"{name}, {what}: {measure(client, model.stem, line)}\n")
                sys.stdout.flush()


def measure(client: OpenAI, model: str, line: str) -> Measured:
    """Two requests that differ in one line."""
    prompts, computed = [], []
    for number in (11, 12):
        usage = client.chat.completions.create(
            model=model,
            messages=_messages(line.format(number, number)),
            tools=_tools(),
            max_tokens=1,
            temperature=0,
        ).usage
        if usage is None or usage.prompt_tokens_details is None:
            raise SystemExit("the server told no usage")
        prompts.append(usage.prompt_tokens)
        computed.append(usage.prompt_tokens - (usage.prompt_tokens_details.cached_tokens or 0))
    return Measured(prompts[0], *computed)


def _messages(line: str) -> list[ChatCompletionMessageParam]:
    # Each kind of line has a prompt of its own, so that it finds nothing of the other's.
    rules = [
        f"Rule {n} of {line[:6]}: answer question {n * 7} with care." for n in range(SENTENCES)
    ]
    return [
        {"role": "system", "content": "\n".join([line, *rules])},
        {"role": "user", "content": "Create the file greeting.txt."},
    ]


def _tools() -> list[ChatCompletionToolParam]:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
    }
    return [
        {
            "type": "function",
            "function": {"name": f"tool_{n}", "description": f"Does {n}.", "parameters": schema},
        }
        for n in range(TOOLS)
    ]


@contextmanager
def _server(folder: Path, model: Path, volatile_lines: str | None) -> Iterator[str]:
    port = free_port()
    environment = {
        "MODEL_PATH": str(model),
        "PORT": str(port),
        "CONTEXT_LENGTH": "8192",
        "PARALLEL": "2",
        "EMBEDDING_BACKEND": "none",
        "DATA_DIR": str(folder),
        "LOG_FILE": "/dev/null",
    }
    if volatile_lines is not None:
        environment["VOLATILE_LINES"] = volatile_lines
    command = Command(
        (sys.executable, "-m", "llm_api"),
        ready_path="/health/ready",
        environment=tuple(environment.items()),
    )
    with running_server("the server", command, folder / "server.log", port) as url:
        yield url


if __name__ == "__main__":
    main()
