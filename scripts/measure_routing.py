"""Measures how much of their prompts conversations find cached, by how a gateway routes them.

    python -m scripts.measure_routing [--conversations 64] [--turns 3] [--clients 4] [--kept 0.75]

Two servers with the default model are the replicas; the gateway before them is this server too,
once with `routing: prefix` and once with `routing: least_busy`. The conversations come in another
order in each turn, and each replica can keep three quarters of them. What was cached is `usage` of
the turns behind the first; what could have been is all of the turns before, prompt and answer.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from openai import AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam

from llm_api.core.llm.files.installed import default_model_path
from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server

ROUTINGS = ("prefix", "least_busy")
SENTENCES = 5
"""Of each question: about 100 tokens."""

ANSWER_TOKENS = 4
NO_DOCUMENTS = {"EMBEDDING_BACKEND": "none", "LOG_FILE": "/dev/null", "DATA_DIR": "data"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_routing")
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4, help="requests at a time")
    parser.add_argument("--kept", type=float, default=0.75, help="conversations, by each replica")
    given = parser.parse_args(arguments)
    slots = round(given.kept * given.conversations)
    shares = {}
    for routing in ROUTINGS:
        with TemporaryDirectory() as folder, ExitStack() as stack:
            urls = [stack.enter_context(_replica(Path(folder), slots)) for _ in range(2)]
            url = stack.enter_context(_gateway(Path(folder), routing, urls))
            talk = _talk(url, given.conversations, given.turns, given.clients)
            shares[routing], most = asyncio.run(talk)
        found = f"{shares[routing]:.1%} of later prompts cached, of {most:.1%} that could be"
        sys.stdout.write(f"{routing}: {found}\n")
        sys.stdout.flush()
    sys.stdout.write(f"ratio {shares['prefix'] / shares['least_busy']:.2f}\n")


async def _talk(url: str, conversations: int, turns: int, clients: int) -> tuple[float, float]:
    """The share of the prompts' tokens that was cached, and that could have been.

    Those of the first turns are left out.
    """
    order = random.Random(0)  # noqa: S311 - nothing to guess
    histories: list[list[ChatCompletionMessageParam]] = [[] for _ in range(conversations)]
    cached = known = whole = read = 0
    async with _client(url) as client:
        for turn in range(turns):
            at_a_time = asyncio.Semaphore(clients)

            async def ask(
                number: int, turn: int = turn, limit: asyncio.Semaphore = at_a_time
            ) -> CompletionUsage:
                async with limit:
                    return await _ask(client, histories[number], _question(number, turn))

            numbers = order.sample(range(conversations), conversations)
            used = await asyncio.gather(*map(ask, numbers))
            if turn:
                cached += sum(map(_cached, used))
                whole += sum(one.prompt_tokens for one in used)
                known += read
            read = sum(one.total_tokens for one in used)
    return cached / whole, known / whole


async def _ask(
    client: AsyncOpenAI, history: list[ChatCompletionMessageParam], question: str
) -> CompletionUsage:
    """Adds one turn to the conversation."""
    history.append({"role": "user", "content": question})
    answer = await client.chat.completions.create(
        model="chat", messages=history, max_tokens=ANSWER_TOKENS, temperature=0
    )
    history.append({"role": "assistant", "content": answer.choices[0].message.content})
    if answer.usage is None:
        raise SystemExit("the server told no usage")
    return answer.usage


def _cached(usage: CompletionUsage) -> int:
    details = usage.prompt_tokens_details
    return (details and details.cached_tokens) or 0


def _question(number: int, turn: int) -> str:
    return " ".join(
        f"Note {line} of talk {number}, turn {turn}: item {number * 31 + line} is ready."
        for line in range(SENTENCES)
    )


@asynccontextmanager
async def _client(url: str) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", timeout=600) as client:
        yield client


@contextmanager
def _replica(folder: Path, slots: int) -> Iterator[str]:
    """A server that keeps so many conversations."""
    room = {"CONTEXT_LENGTH": "512", "PARALLEL": str(slots), "MAX_QUEUE": "256"}
    with _served(folder, {"MODEL_PATH": str(default_model_path()), **room}) as url:
        yield url


@contextmanager
def _gateway(folder: Path, routing: str, urls: Sequence[str]) -> Iterator[str]:
    listed = ", ".join(f"{{url: {url}/v1}}" for url in urls)
    model = default_model_path().stem
    entry = f"backend: openai, model: {model}, routing: {routing}, replicas: [{listed}]"
    (folder / "models.yaml").write_text(f"models: {{chat: {{{entry}}}}}", encoding="utf-8")
    with _served(folder, {}, "serve", "--config", "models.yaml") as url:
        yield url


@contextmanager
def _served(folder: Path, settings: dict[str, str], *words: str) -> Iterator[str]:
    port = free_port()
    command = Command(
        (sys.executable, "-m", "llm_api", *words),
        ready_path="/health/ready",
        environment=tuple({**NO_DOCUMENTS, "PORT": str(port), **settings}.items()),
    )
    own_folder = folder / str(port)
    own_folder.mkdir()
    for file in folder.glob("*.yaml"):
        file.rename(own_folder / file.name)
    with running_server(
        f"the server on port {port}", command, own_folder / "server.log", port
    ) as url:
        yield url


if __name__ == "__main__":
    main()
