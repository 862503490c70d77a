"""Tries a real vLLM on the CPU behind the gateway, with a tiny model of random weights.

    python -m scripts.vllm FOLDER

FOLDER gets vLLM (some gigabytes; it asks for PyTorch's CPU build, see TORCH_INDEX_URL in the
Makefile) and the model; a second run finds them there. One vLLM generates, another embeds, and a
replica that nobody runs stands beside the first. Takes some three minutes on two cores.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

import httpx2
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from scripts.bench.client import HOST
from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server
from scripts.vllm import environment

MODEL = "tiny"
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is it?"}]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"enum": [1, 2, 3]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "travel", "description": "Plans a journey.", "parameters": SCHEMA},
}

GENERATES = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
EMBEDS = ("--runner", "pooling", "--convert", "embed")
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
}
START_SECONDS = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.vllm")
    parser.add_argument("folder", type=Path, help="where vLLM and the model are, or will be")
    folder: Path = parser.parse_args(arguments).folder.resolve()
    environment.make(folder)
    _make_model(folder)
    with TemporaryDirectory() as logs, ExitStack() as stack:
        generating, embedding = (
            stack.enter_context(_vllm(folder, Path(logs), *words)) for words in (GENERATES, EMBEDS)
        )
        url = stack.enter_context(_gateway(Path(logs), generating, embedding))
        client = stack.enter_context(OpenAI(base_url=f"{url}/v1", api_key="unused", timeout=120))
        return _failures(_checks(client, generating))


def _checks(client: OpenAI, vllm: str) -> dict[str, Callable[[], None]]:
    return {
        "chat, whole and streamed": lambda: check_chat(client),
        "log-probabilities": lambda: check_logprobs(client),
        "a call that is demanded": lambda: check_call(client),
        "JSON by a schema": lambda: check_schema(client),
        "a client that leaves": lambda: check_cancelling(client, vllm),
        "embeddings": lambda: check_embeddings(client),
    }


def _failures(checks: dict[str, Callable[[], None]]) -> int:
    """How many did not pass. Prints each as it ends."""
    failed = 0
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are tried
            failed += 1
            sys.stdout.write(f"failed  {name}: {error!r}\n")
        else:
            sys.stdout.write(f"passed  {name}\n")
        sys.stdout.flush()
    return failed


def check_chat(client: OpenAI) -> None:
    """Twenty questions, so that both replicas are chosen: one of them is not there."""
    for number in range(20):
        asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": f"Say {number}."}]
        whole = client.chat.completions.create(
            model="chat", messages=asked, max_tokens=12, temperature=0
        )
        pieces = client.chat.completions.create(
            model="chat",
            messages=asked,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, usage = "", None
        for piece in pieces:
            usage = piece.usage or usage
            text += "".join(choice.delta.content or "" for choice in piece.choices)
        _expect(text == whole.choices[0].message.content, text)
        _expect(usage == whole.usage, f"usage {usage}")


def check_logprobs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat", messages=QUESTION, max_tokens=4, logprobs=True, top_logprobs=3
    )
    told = answer.choices[0].logprobs
    tokens = (told and told.content) or []
    _expect(len(tokens) == 4, f"{len(tokens)} tokens")
    for token in tokens:
        _expect(token.logprob <= 0 and len(token.top_logprobs) == 3, repr(token))


def check_call(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat", messages=QUESTION, tools=[TOOL], tool_choice="required", max_tokens=200
    )
    calls = answer.choices[0].message.tool_calls or ()
    _expect(bool(calls), "no call")
    for call in calls:
        if call.type == "function":
            _check_journey(call.function.arguments)


def check_schema(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat",
        messages=QUESTION,
        max_tokens=200,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "journey", "schema": SCHEMA, "strict": True},
        },
    )
    _check_journey(answer.choices[0].message.content or "")


def _check_journey(text: str) -> None:
    journey = json.loads(text)
    is_right = journey.keys() == {"city", "days"} and journey["city"] in {"Rome", "Oslo"}
    _expect(is_right and journey["days"] in {1, 2, 3}, text)


def _expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise ValueError(what)


def check_cancelling(client: OpenAI, vllm: str) -> None:
    """Nothing runs in vLLM any more soon after the client has gone."""
    stream = client.chat.completions.create(
        model="chat",
        messages=QUESTION,
        max_tokens=1900,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    next(iter(stream))
    _expect(_running(vllm) == 1, "nothing runs")
    stream.close()
    deadline = time.monotonic() + 5
    while _running(vllm):
        _expect(time.monotonic() < deadline, "vLLM goes on")
        time.sleep(0.1)


def _running(vllm: str) -> float:
    lines = httpx2.get(f"{vllm}/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{")
    )


def check_embeddings(client: OpenAI) -> None:
    texts = ["the quick fox", "a brown fox", "the quick fox"]
    vectors = [one.embedding for one in client.embeddings.create(model=MODEL, input=texts).data]
    _expect(vectors[0] == vectors[2] != vectors[1], "equal texts have equal vectors")


def _make_model(folder: Path) -> None:
    if not (folder / MODEL / "config.json").exists():
        maker = Path(__file__).with_name("tiny_model.py")
        run([folder / "bin" / "python", maker, folder / MODEL], check=True)


@contextmanager
def _vllm(folder: Path, logs: Path, *words: str) -> Iterator[str]:
    options = f"--served-model-name {MODEL} --host {HOST} --dtype float32 --max-model-len 2048"
    port = free_port()
    command = Command(
        (
            str(folder / "bin" / "vllm"),
            "serve",
            str(folder / MODEL),
            *options.split(),
            "--enforce-eager",
            "--port",
            str(port),
            *words,
        ),
        environment=tuple(SETTINGS.items()),
    )
    with running_server("vLLM", command, logs / f"{port}.log", port, START_SECONDS) as url:
        yield url


@contextmanager
def _gateway(logs: Path, generating: str, embedding: str) -> Iterator[str]:
    replicas = f"[{{url: {generating}/v1}}, {{url: 'http://{HOST}:{free_port()}/v1'}}]"
    entry = f"backend: vllm, model: {MODEL}, replicas: {replicas}"
    (logs / "models.yaml").write_text(f"models: {{chat: {{{entry}}}}}", encoding="utf-8")
    port = free_port()
    settings = {
        "PORT": str(port),
        "DATA_DIR": "data",
        "LOG_FILE": "/dev/null",
        "EMBEDDING_URL": f"{embedding}/v1",
        "EMBEDDING_MODEL_NAME": MODEL,
    }
    command = Command(
        (sys.executable, "-m", "llm_api", "serve", "--config", "models.yaml"),
        "/health",
        tuple(settings.items()),
    )
    with running_server("the gateway", command, logs / f"{port}.log", port) as url:
        yield url


if __name__ == "__main__":
    raise SystemExit(main())
