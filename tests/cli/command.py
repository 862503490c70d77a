"""Runs the command line as a person does: in a process of its own, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import llm_api as llm_api_package

CHECKOUT = Path(llm_api_package.__file__).parents[1]

SETTINGS = (
    "LLM_BACKEND",
    "MODEL_REPO_ID",
    "MODEL_FILENAME",
    "MODEL_PATH",
    "MODELS_DIR",
    "MODEL_ALIASES",
    "CONFIG_FILE",
    "MODEL_IDLE_SECONDS",
    "MODEL_MEMORY",
    "HOST",
    "PORT",
    "LOG_LEVEL",
    "API_KEY",
    "API_KEYS_FILE",
    "ALLOW_UNAUTHENTICATED",
    "ALLOWED_HOSTS",
    "REDIS_URL",
    "FUNCTIONS_DIR",
    "FUNCTION_TIMEOUT_SECONDS",
    "FUNCTION_RESULT_BYTES",
    "WEATHER_GEOCODING_URL",
    "WEATHER_FORECAST_URL",
    "HF_TOKEN",
    "DATA_DIR",
    "RERANK_MODEL",
    "WORKERS",
)
PREFIXES = (
    "EMBEDDING_",
    "QDRANT_",
    "RAG_",
    "KEY_",
    "OPENAI_",
    "OLLAMA_",
    "CLAUDE_",
    "HF_M",
    "UPSTREAM_",
    "RESPONSE_",
)


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of ours, and with these variables."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in SETTINGS and not name.startswith(PREFIXES)
    }
    # The very package under test, installed or not.
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    ours = {"COLUMNS": "120", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": path}
    return inherited | ours | variables


def llm_api(
    folder: Path, *arguments: str, stdin: str = "", **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "llm_api", *arguments],
        cwd=folder,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
