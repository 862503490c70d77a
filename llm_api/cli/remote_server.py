"""The server that a command talks to: its URL, the key for it, and what its refusals say."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from llm_api.core.errors import GenerationError, InvalidRequestError, UnavailableError
from llm_api.core.upstream import LOOPBACK

if TYPE_CHECKING:
    from llm_api.config.settings import Settings


_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where a server listens
_TIMEOUT = httpx2.Timeout(10, read=600)


@dataclass(frozen=True, slots=True)
class ServerAPI:
    """The API of one server; `instead` is what can be done without one."""

    client: httpx2.AsyncClient
    instead: str = ""

    async def get(self, path: str, **parameters: str | int | float | None) -> Any:
        """What it answers, from JSON. Raises as `send`, and for every refusal."""
        known = {name: value for name, value in parameters.items() if value is not None}
        return answer_of(await self.send("GET", path, params=known))

    async def post(self, path: str, body: object) -> Any:
        return answer_of(await self.send("POST", path, json=body))

    async def delete(self, path: str, **parameters: str | None) -> Any:
        known = {name: value for name, value in parameters.items() if value is not None}
        return answer_of(await self.send("DELETE", path, params=known))

    @asynccontextmanager
    async def stream(self, path: str, body: object) -> AsyncGenerator[AsyncIterator[str], None]:
        """The data of each event of its answer. Raises as `send`, and for every refusal."""
        with self._explained():
            async with self.client.sse(path, method="POST", json=body) as source:
                if source.response.is_error:
                    await source.response.aread()
                    raise refusal(source.response)
                yield (event.data async for event in source)

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Raises UnavailableError where no server is there, GenerationError where it broke off."""
        with self._explained():
            return await self.client.request(method, path, **options)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            raise UnavailableError(no_server(self.client.base_url, self.instead)) from error
        except (httpx2.HTTPError, httpx2.SSEError) as error:
            raise GenerationError(broken_off(self.client.base_url, error)) from error


@asynccontextmanager
async def open_server(
    settings: "Settings", url: str | None, api_key: str | None, instead: str = ""
) -> AsyncGenerator[ServerAPI, None]:
    """The server at the URL, or where the settings say. Raises InvalidRequestError for no URL."""
    base = checked_url(url or default_url(settings))
    async with httpx2.AsyncClient(
        base_url=base,
        headers=key_headers(key_for(settings, url, api_key)),
        timeout=_TIMEOUT,
        trust_env=base.host not in LOOPBACK,
    ) as client:
        yield ServerAPI(client, instead)


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


def no_server(url: httpx2.URL, instead: str = "") -> str:
    """That nobody answers, and what to do."""
    start = f"No server answers at {url}; start one with `llm-api serve`, or name another (--url)"
    return f"{start}, or {instead}." if instead else f"{start}."


def broken_off(url: httpx2.URL, error: Exception) -> str:
    """That an answer did not come to its end."""
    return f"The connection to {url} failed: {str(error) or type(error).__name__}."


def answer_of(response: httpx2.Response) -> Any:
    """Raises as `refusal`, and GenerationError for what is no JSON."""
    if not response.is_success:
        raise refusal(response)
    try:
        return response.json()
    except ValueError as error:
        raise GenerationError(f"{response.url} gave no answer of llm-api: no JSON.") from error


def refusal(response: httpx2.Response) -> InvalidRequestError | GenerationError:
    """The error that an answer without success is here. Its body must have been read."""
    message = message_of(response)
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        message += " Give a key with --api-key or LLM_API_KEY; API_KEY is for this machine alone."
    return GenerationError(message) if response.is_server_error else InvalidRequestError(message)


def message_of(response: httpx2.Response) -> str:
    """Its sentence, or the status where it says none."""
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return said or f"{response.url} answered {response.status_code} {response.reason_phrase}."
