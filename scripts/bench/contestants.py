"""Who takes part: the command lines, all with the same model, threads and context."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.client import HOST

ROOT = Path(__file__).parent.parent.parent
BENCH_FOLDER = ROOT / ".bench"
LLAMA_SERVER = BENCH_FOLDER / "llama-server" / "bin" / "llama-server"
PEER_PYTHON = BENCH_FOLDER / "peer-venv" / "bin" / "python"
LITELLM_PROGRAM = BENCH_FOLDER / "litellm-venv" / "bin" / "litellm"
LITELLM_SETTINGS = Path(__file__).parent / "litellm.yaml"

OURS = "ours"
LLAMA_CPP_SERVER = "llama_cpp.server"
LLAMA_SERVER_NAME = "llama-server"
BARE = "bare"
PLAIN = "plain encode()"
OUR_GATEWAY = "our gateway"
OUR_STUB = "our stub"
LITELLM = "LiteLLM"
UPSTREAM = "upstream"
GENERATING_SERVERS = (OURS, LLAMA_SERVER_NAME, LLAMA_CPP_SERVER)
GATEWAYS = (OUR_GATEWAY, OUR_STUB, LITELLM, UPSTREAM)
ALL = (*GENERATING_SERVERS, BARE, PLAIN, *GATEWAYS)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is the same for all. `context` tokens for each of `parallel` requests at a time.

    Gateways have the same upstream, which listens on `upstream_port`.
    """

    model: Path
    threads: int
    context: int
    parallel: int
    upstream_port: int

    @property
    def upstream_url(self) -> str:
        return f"http://{HOST}:{self.upstream_port}/v1"


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server on a port. `ready_path` answers 200 once the model is loaded."""

    arguments: tuple[str, ...]
    ready_path: str = "/v1/models"
    environment: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """As it would be typed, with paths below the project's folder."""
        words = [f"{name}={value}" for name, value in self.environment] + list(self.arguments)
        return " ".join(words).replace(f"{ROOT}/", "")


def command(name: str, conditions: Conditions, port: int) -> Command:
    """The command line of a server. Everything that is not the same for all is its default.

    llama-server's are: flash attention "auto" (on, here), `--cache-reuse 0`, prompt cache on, no
    unified KV since `--parallel` is given: each slot has `context` tokens of its own.
    llama_cpp.server's are: one request at a time, a new one interrupts the one that runs.
    """
    model, threads = str(conditions.model), str(conditions.threads)
    context, parallel = str(conditions.context), str(conditions.parallel)
    everything = str(conditions.context * conditions.parallel)
    address = f"--host {HOST} --port {port}"
    match name:
        case "ours":
            words = f"-m llm_api serve {address} --context-length {context} --model-path"
            settings = (
                ("PARALLEL", parallel),
                ("N_THREADS", threads),
                ("EMBEDDING_THREADS", threads),
                ("WEIGHTS", "original"),  # the peers' file, and no other
            )
            return Command((sys.executable, *words.split(), model), "/health/ready", settings)
        case "llama-server":
            words = f"{address} --threads {threads} --parallel {parallel} --ctx-size {everything}"
            return Command((str(LLAMA_SERVER), *words.split(), "--model", model), "/health")
        case "llama_cpp.server":
            words = f"-m llama_cpp.server {address} --n_threads {threads}"
            words += f" --n_threads_batch {threads} --n_ctx {context} --model"
            return Command((str(PEER_PYTHON), *words.split(), model))
        case "bare":
            program = (sys.executable, "-m", "scripts.bench.bare_loop")
            return Command((*program, model, threads, context, parallel))
        case "plain encode()":
            program = (sys.executable, "-m", "scripts.bench.plain_embedder")
            return Command((*program, *address.split(), "--threads", threads))
        case _ if name in GATEWAYS:
            return _gateway_command(name, conditions.upstream_url, address)
        case _:
            raise ValueError(f"nobody is called {name}")


def _gateway_command(name: str, upstream_url: str, address: str) -> Command:
    """One worker each. LiteLLM's settings are in its file; it logs errors, as a proxy should."""
    ours = (sys.executable, *f"-m llm_api serve {address}".split())
    if name == UPSTREAM:
        return Command((sys.executable, *f"-m scripts.bench.upstream {address}".split()))
    if name == OUR_STUB:
        return Command(ours, "/health/ready", (("LLM_BACKEND", "stub"),))
    if name == OUR_GATEWAY:
        names = {"LLM_BACKEND": "openai", "OPENAI_BASE_URL": upstream_url}
        names |= {"OPENAI_MODEL": "upstream", "OPENAI_API_KEY": "none"}
        return Command(ours, "/health/ready", tuple(names.items()))
    words = f"{address} --num_workers 1 --telemetry False --config {LITELLM_SETTINGS}"
    settings = (
        ("UPSTREAM_URL", upstream_url),
        ("LITELLM_LOG", "ERROR"),
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),  # it would be downloaded
    )
    return Command((str(LITELLM_PROGRAM), *words.split()), "/health/readiness", settings)


def is_built(name: str) -> bool:
    """Whether `make bench-peers` has made what this contestant needs."""
    needed = {
        LLAMA_SERVER_NAME: LLAMA_SERVER,
        LLAMA_CPP_SERVER: PEER_PYTHON,
        LITELLM: LITELLM_PROGRAM,
    }
    return name not in needed or needed[name].exists()


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of any server that a person's shell may carry. Pure."""
    settings = {"PARALLEL", "N_THREADS", "CONTEXT_LENGTH", "MODEL", "N_CTX"}
    prefixes = (
        "LLAMA_ARG_",
        "MODEL_",
        "KV_",
        "GPU_",
        "LLM_",
        "EMBEDDING_",
        "OPENAI_",
        "LITELLM_",
        "API_KEY",
        "KEY_",
    )
    return {
        name: value
        for name, value in environment.items()
        if name not in settings and not name.startswith(prefixes)
    }


def own_environment() -> dict[str, str]:
    return clean_environment(os.environ)
