"""The whole application with the default model, behind a real socket, once for all these tests."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from llm_api.config.settings import load_settings
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from tests.live import live_server, wait_until

MODEL = default_model_path().stem
ALIAS = "small-model"


@pytest.fixture(scope="session")
def request_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the served application writes down its requests."""
    return tmp_path_factory.mktemp("logs") / "log.jsonl"


@pytest.fixture(scope="session")
def served_url(tmp_path_factory: pytest.TempPathFactory, request_log: Path) -> Iterator[str]:
    settings = load_settings(
        model_path=default_model_path(),
        model_aliases=(ALIAS,),
        parallel=4,
        context_length=1024,
        max_tokens=256,
        data_dir=tmp_path_factory.mktemp("data"),
        log_file=request_log,
    )
    with live_server(create_app(settings)) as url:
        wait_until(lambda: httpx2.get(f"{url}/health/ready").status_code == 200, seconds=60)
        yield url


@pytest.fixture
def http(served_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served_url, timeout=60) as client:
        yield client


@pytest.fixture
def sdk(served_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served_url}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk
