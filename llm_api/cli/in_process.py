"""The server's own API in this process, for what `--local` commands do: no socket, no model.

Documents are read and changed by the same code as in a server, so they look the same.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_api.cli.remote_server import ServerAPI
    from llm_api.config.settings import Settings

_ALONE: Final[Mapping[str, object]] = {
    "llm_backend": "stub",
    "config_file": None,
    "host": "127.0.0.1",
    "workers": 1,
    "ollama_port": None,
    "api_key": None,
    "api_keys_file": None,
    "redis_url": None,
    "response_cache": "off",
    "log_file": Path("/dev/null"),
}
"""Nobody comes in but the person at the terminal, who may all that the settings name."""


def opened(
    url: str | None, api_key: str | None, local: bool
) -> "AbstractAsyncContextManager[ServerAPI]":
    """The server that is meant; `local`: its API in this process, whatever the URL says."""
    from llm_api.cli.remote_server import open_server
    from llm_api.config.settings import load_settings

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    settings = load_settings()
    if local:
        return _open_here(settings)
    return open_server(settings, url, api_key, "look at what is stored here: `--local`")


@asynccontextmanager
async def _open_here(settings: "Settings") -> "AsyncGenerator[ServerAPI, None]":
    """Raises VectorStoreLockedError where a server has the documents open."""
    import httpx2

    from llm_api.assembly.retrieval import require_unlocked
    from llm_api.cli.remote_server import ServerAPI
    from llm_api.main import create_app

    require_unlocked(settings)
    app = create_app(settings.model_copy(update=_ALONE))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1", timeout=None
        ) as client,
    ):
        yield ServerAPI(client)
