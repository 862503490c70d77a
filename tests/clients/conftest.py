"""The whole application over the scripted model, behind a real socket, once for all these tests."""

from collections.abc import Iterator

import pytest

from llm_api.config.settings import load_settings
from llm_api.main import create_app
from scripts.clients.loopback import HOST, serving
from scripts.clients.script import MODEL
from scripts.clients.scripted import ScriptedModel
from tests.live import live_server


@pytest.fixture(scope="session")
def scripted_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(ScriptedModel) as upstream:
        settings = load_settings(
            llm_backend="vllm",
            openai_base_url=f"http://{HOST}:{upstream}/v1",
            openai_model=MODEL,
            qdrant_use_memory=True,
            data_dir=tmp_path_factory.mktemp("data"),
        )
        with live_server(create_app(settings)) as url:
            yield url
