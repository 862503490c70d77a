"""The Python clients of `scripts/clients`, with the versions that are installed here.

The others are tried by `make clients`, each in an environment of its own.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.clients.case import Client, Visit
from scripts.clients.catalogue import CLIENTS
from scripts.clients.kits import PythonKit
from scripts.clients.loopback import HOST
from scripts.clients.relay import Notes, relay, shut_door
from scripts.clients.sandbox import Sandbox
from scripts.clients.script import MODEL

IMPORTED = {
    "openai-python": "openai",
    "openai-agents": "agents",
    "langchain": "langchain_openai",
    "anthropic-python": "anthropic",
    "ollama-python": "ollama",
}
HERE = [client for client in CLIENTS if client.name in IMPORTED]


def test_the_clients_that_are_tried_here_are_those_that_are_installed_here() -> None:
    assert all(find_spec(package) for package in IMPORTED.values())
    others = {one.name for one in CLIENTS if isinstance(one.kit, PythonKit)} - IMPORTED.keys()
    assert others == {"cohere", "langchain-anthropic", "langchain-ollama", "llama-index"}


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.name)
def test_client_does_all_that_it_is_here_for(
    scripted_url: str, client: Client, tmp_path: Path
) -> None:
    notes = Notes()
    server = urlsplit(scripted_url).port
    assert server is not None
    with shut_door(notes) as door, relay(server, notes) as port:
        command = [sys.executable, str(client.kit.folder / client.kit.program)]
        base_url = f"http://{HOST}:{port}/v1"
        client.run(Visit(command, Sandbox(tmp_path, door), base_url, MODEL, 100))
    client.check(notes)
    assert notes.outside == []
