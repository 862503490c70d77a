"""The server that a command talks to: its URL, the key for it, and what its refusals say."""

from typing import TYPE_CHECKING

import httpx2

from llm_api.core.errors import GenerationError, InvalidRequestError
from llm_api.core.upstream import LOOPBACK

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


def key_for(settings: "Settings", url: str | None, api_key: str | None) -> str | None:
    """The key to send: the one given, or API_KEY to a server of this machine, and to no other.

    Raises InvalidRequestError for what is no URL.
    """
    is_ours = url is None or checked_url(url).host in LOOPBACK
    if api_key is None and settings.api_key is not None and is_ours:
        return settings.api_key.get_secret_value()
    return api_key


def key_headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}


def refusal(response: httpx2.Response) -> InvalidRequestError | GenerationError:
    """The error that an answer without success is here. Its body must have been read."""
    message = message_of(response)
    return GenerationError(message) if response.is_server_error else InvalidRequestError(message)


def message_of(response: httpx2.Response) -> str:
    """Its sentence, or the status where it says none."""
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return said or f"{response.url} answered {response.status_code} {response.reason_phrase}."
