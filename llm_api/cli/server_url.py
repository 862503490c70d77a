"""Where the server is that the settings describe, and whether a text is a server's URL."""

from typing import TYPE_CHECKING

import httpx2

from llm_api.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from llm_api.config.settings import Settings


_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where a server listens


def default_url(settings: "Settings") -> str:
    host = _ANY_ADDRESS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def checked_url(url: str) -> httpx2.URL:
    """The base URL of a server, without `/v1`. Raises InvalidRequestError."""
    try:
        base = httpx2.URL(url.rstrip("/").removesuffix("/v1"))
    except httpx2.InvalidURL as error:
        raise InvalidRequestError(f"{url} is no URL: {error}.") from error
    if base.scheme not in ("http", "https") or not base.host:
        raise InvalidRequestError(f"{url} is no URL; write it like http://127.0.0.1:8000.")
    return base
