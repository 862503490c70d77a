"""Measures what a prefix costs that comes back from a tier, against computing it.

    python -m scripts.measure_prefix_tiers restart [--model FILE.gguf] [--tokens 1500]
    python -m scripts.measure_prefix_tiers agent --model qwen2.5-coder-1.5b.gguf [--tokens 5000]

`restart`: a conversation, the server ends and starts again, the follow-up: its time to the first
token against that of the same follow-up on a server that has never seen the conversation.
`agent`: an agent's prompt, another agent's in the only slot, and the first one's next turn, against
its first turn. Computing is measured once, what is restored three times: the median is told.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from llm_api.core.llm.files.installed import default_model_path
from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server

TRIES = 3


@dataclass(frozen=True, slots=True)
class Told:
    """How long the first token took, how much of the prompt was cached, and what was answered."""

    seconds: float
    cached: int
    prompt: int
    text: str

    def __str__(self) -> str:
        return f"{1000 * self.seconds:.0f} ms ({self.cached} of {self.prompt} tokens cached)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_prefix_tiers")
    parser.add_argument("what", choices=("restart", "agent"))
    parser.add_argument("--model", type=Path, default=default_model_path())
    parser.add_argument("--tokens", type=int)
    options = parser.parse_args(arguments)
    measure = _restart if options.what == "restart" else _agent
    tokens = options.tokens or (1500 if options.what == "restart" else 5000)
    with TemporaryDirectory() as folder:
        computed, restored = measure(Path(folder), options.model.resolve(), tokens)
    middle = median(one.seconds for one in restored)
    for one in restored:
        sys.stdout.write(f"restored: {one}\n")
    sys.stdout.write(f"computed: {computed}\n1/{computed.seconds / middle:.0f} of computing\n")


def _restart(folder: Path, model: Path, tokens: int) -> tuple[Told, list[Told]]:
    talk = [_user(_words(tokens, 1))]
    with _server(folder, model, folder / "kv") as client:
        answer = _ask(client, model, talk, 16)
    follow_ups: list[list[ChatCompletionMessageParam]] = [
        [*talk, {"role": "assistant", "content": answer.text}, _user(f"{number} more, please.")]
        for number in range(TRIES)
    ]
    restored = []
    for follow_up in follow_ups:
        with _server(folder, model, folder / "kv") as client:
            _ask(client, model, [_user("Hello")], 1)  # what only the very first request pays
            restored.append(_ask(client, model, follow_up, 1))
    with _server(folder, model, None) as client:
        _ask(client, model, [_user("Hello")], 1)
        return _ask(client, model, follow_ups[0], 1), restored


def _agent(folder: Path, model: Path, tokens: int) -> tuple[Told, list[Told]]:
    agents = [[_system(_words(tokens, number)), _user("Begin.")] for number in (1, 2)]
    with _server(folder, model, None) as client:
        _ask(client, model, [_user("Hello")], 1)
        computed = _ask(client, model, agents[0], 8)
        _ask(client, model, agents[1], 8)
        restored = []
        for number in range(TRIES):
            for agent in agents:
                told = _ask(client, model, [agent[0], _user(f"Now do {number}.")], 8)
                restored += [told] if agent is agents[0] else []
    return computed, restored


def _ask(
    client: OpenAI, model: Path, messages: list[ChatCompletionMessageParam], max_tokens: int
) -> Told:
    began = time.perf_counter()
    first, text, usage = None, "", None
    stream = client.chat.completions.create(
        model=model.stem,
        messages=messages,
        max_tokens=max_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - began
            text += chunk.choices[0].delta.content
        usage = chunk.usage or usage
    if usage is None or usage.prompt_tokens_details is None:
        raise SystemExit("the server told no usage")
    return Told(
        first or time.perf_counter() - began,
        usage.prompt_tokens_details.cached_tokens or 0,
        usage.prompt_tokens,
        text,
    )


def _words(tokens: int, seed: int) -> str:
    """About so many tokens of text, another one for each seed."""
    things = ("tables", "orders", "letters", "rooms", "prices", "roads", "names", "days")
    sentences = (
        f"Rule {number}: look at the {things[(number * seed) % 8]} before the"
        f" {things[(number + seed) % 8]}, and say what you see."
        for number in range(tokens // 18)
    )
    return f"You are agent {seed}. " + " ".join(sentences)


def _user(content: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": content}


def _system(content: str) -> ChatCompletionMessageParam:
    return {"role": "system", "content": content}


@contextmanager
def _server(folder: Path, model: Path, kept: Path | None) -> Iterator[OpenAI]:
    """A server with one slot, and a folder for what it has computed where one is named."""
    port = free_port()
    environment = {
        "MODEL_PATH": str(model),
        "PORT": str(port),
        "CONTEXT_LENGTH": "8192",
        "PARALLEL": "1",
        "EMBEDDING_BACKEND": "none",
        "DATA_DIR": str(folder / "data"),
        "LOG_FILE": "/dev/null",
    }
    if kept is not None:
        environment["KV_CACHE_DIR"] = str(kept)
    command = Command(
        (sys.executable, "-m", "llm_api"),
        ready_path="/health/ready",
        environment=tuple(environment.items()),
    )
    with (
        running_server("the server", command, folder / "server.log", port) as url,
        OpenAI(base_url=f"{url}/v1", api_key="unused", timeout=900) as client,
    ):
        yield client


if __name__ == "__main__":
    main()
