"""A server with a file of keys, a stub for a model and a function of a stranger, for the views."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from llm_api.config.keys_file import add_key, hash_text
from llm_api.config.settings import load_settings
from llm_api.core.access.keys import SCOPES, digest_of
from llm_api.main import create_app
from tests.live import live_server

ROOT = "root-of-the-page-tests"
PLANTED = "<img src=x onerror=window.planted=1><script>window.planted=1</script>"
FUNCTIONS = f'''
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from llm_api.core.functions.registry import function_registry


class Stop(BaseModel):
    """Where one changes."""

    city: str
    minutes: int = 5


@function_registry.register
def plan_trip(
    start: str, stops: list[Stop], unit: Literal["km", "miles"] = "km", fast: bool = False
) -> dict[str, object]:
    """Plan a trip."""
    minutes = sum(stop.minutes for stop in stops)
    return {{"route": [start, *(stop.city for stop in stops)], "minutes": minutes, "unit": unit}}


@function_registry.register
def planted() -> str:
    """Return what a stranger wrote. {PLANTED}"""
    return {PLANTED!r}
'''


@dataclass(frozen=True, slots=True)
class OpsServer:
    url: str
    keys: Path

    def ask(self, secret: str = ROOT, **body: object) -> httpx2.Response:
        """Have the model say something."""
        asked = {"model": "stub", "messages": [{"role": "user", "content": "Hello."}], **body}
        headers = {"authorization": f"Bearer {secret}"}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=asked, headers=headers)


@contextmanager
def ops_server(folder: Path) -> Iterator[OpsServer]:
    """The whole application, until the end of the block."""
    functions, keys = folder / "functions", folder / "keys.yaml"
    functions.mkdir()
    (functions / "trips.py").write_text(FUNCTIONS, encoding="utf-8")
    today = datetime.now(UTC).date()
    for name, secret, scopes in (("root", ROOT, SCOPES), ("alice", "sk-alice", {"generate"})):
        digest = hash_text(digest_of(secret))
        add_key(keys, name=name, hash=digest, scopes=sorted(scopes), created=today)
    settings = load_settings(
        llm_backend="stub",
        embedding_backend="none",
        api_keys_file=keys,
        functions_dir=functions,
        data_dir=folder / "data",
    )
    with live_server(create_app(settings)) as url:
        yield OpsServer(url, keys)
