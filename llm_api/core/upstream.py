"""Another server, asked over HTTP: its connections, and what its failures mean for our caller.

Knows HTTP as a client. Knows neither what is asked nor in which dialect.
"""

import asyncio
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final

import httpx2

from llm_api.core.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)

outgoing_trace: Final[ContextVar[Mapping[str, str]]] = ContextVar(
    "outgoing_trace", default=MappingProxyType({})
)
"""Headers (W3C Trace Context) that go with what is asked on behalf of this request; or none."""

MESSAGE_CHARACTERS = 300
"""As much of another server's words as is handed on."""

ERROR_BYTES = 64 * 1024
"""As much of what it says of a failure as is read."""

DOCUMENT_BYTES = 4 * 1024 * 1024
"""A list of models, what is told of a server."""

BODY_SECONDS = 60.0
"""How long a body may come that is read as a whole, from its beginning."""

RETRY_SECONDS = 1.0
"""What a server that is busy and does not say for how long is given."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that a proxy from the environment cannot reach."""

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_CONTEXT_LENGTH_CODES = {"context_length_exceeded", "exceed_context_size_error"}


@dataclass(frozen=True, slots=True)
class UpstreamServer:
    """The server as errors name it. `api_key` is in none of them; `key_name` is where it is set.

    `advice` is what to do where it does not have what was asked for.
    """

    url: str
    key_name: str
    api_key: str | None = field(default=None, repr=False)
    advice: str = ""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a server says of its failure. `code` is its short name for it, where it has one."""

    message: str
    code: str | None = None
    param: str | None = None


def open_http(url: str, headers: Mapping[str, str], timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """Connections to the server at `url`; follows no redirects, carries traces on."""
    # It takes a tenth of a second to import: only for those who ask other servers.
    from llm_api.core.aiohttp_transport import AiohttpTransport  # noqa: PLC0415

    place = httpx2.URL(url)
    trust_env = place.host not in LOOPBACK
    tls = httpx2.create_ssl_context(trust_env=trust_env) if place.scheme == "https" else None
    return httpx2.AsyncClient(
        base_url=url,
        headers=dict(headers),
        timeout=timeout,
        transport=AiohttpTransport(tls, trust_env=trust_env),
        event_hooks={"request": [_carry_trace]},
    )


async def _carry_trace(request: httpx2.Request) -> None:
    request.headers.update(outgoing_trace.get())


@contextmanager
def explained(server: UpstreamServer) -> Iterator[None]:
    """Turn what the network does inside into UnavailableError, UpstreamTimeoutError, UpstreamError.

    What the HTTP library says stays in the chain: it may quote a header.
    """
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise UnavailableError(f"{server} cannot be reached.") from error
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        message = f"{server} cannot be asked; check its URL and {server.key_name}."
        raise UnavailableError(message) from error
    except httpx2.TimeoutException as error:
        raise UpstreamTimeoutError(f"{server} did not answer in time.") from error
    except (httpx2.SSEError, httpx2.DecodingError) as error:
        raise _odd(server) from error
    except httpx2.HTTPError as error:
        raise UpstreamError(f"{server} broke off its answer; try again.") from error


@contextmanager
def understood(server: UpstreamServer) -> Iterator[None]:
    """Turn what reading an answer of another form raises into UpstreamError."""
    try:
        yield
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _odd(server) from error


def _odd(server: UpstreamServer) -> UpstreamError:
    return UpstreamError(f"{server} answered in a form that is not understood.")


async def whole_body(
    server: UpstreamServer, response: httpx2.Response, most_bytes: int = DOCUMENT_BYTES
) -> bytes:
    """The body of an answer that is read as a whole. Raises UpstreamError for more than that."""
    body, is_whole = await _body(response, most_bytes)
    if not is_whole:
        raise UpstreamError(
            f"{server} answered with more than {most_bytes} bytes, or for more than"
            f" {BODY_SECONDS:.0f} s."
        )
    return body


async def refusal(
    server: UpstreamServer, response: httpx2.Response, param: str | None = None
) -> LLMAPIError:
    """The error that an answer without success is to our caller. Reads the beginning of its body.

    `param` is to be blamed for a request that the server does not take, if it blames none itself.
    """
    body, _ = await _body(response, ERROR_BYTES)
    try:
        said = complaint(json.loads(body))
    except (ValueError, RecursionError):
        said = Complaint(body.decode("utf-8", "replace"))
    said = replace(said, param=said.param or param)
    wait = retry_after_seconds(response.headers, time.time())
    return failure(server, response.status_code, said, wait)


def failure_in_stream(server: UpstreamServer, body: object) -> LLMAPIError:
    """The error that stands in a stream in place of the rest of the answer. Pure.

    vLLM and llama-server say a status in `error.code`, OpenAI and Anthropic a kind in `error.type`.
    """
    error = body.get("error") if isinstance(body, dict) else None
    said = error if isinstance(error, dict) else {}
    code = said.get("code")
    status = code if isinstance(code, int) else _STATUSES.get(str(said.get("type")))
    return failure(server, status, complaint(body))


def failure(
    server: UpstreamServer, status: int | None, said: Complaint, wait_seconds: float | None = None
) -> LLMAPIError:
    """The error that a failure of this HTTP status is to our caller. Pure."""
    message = _presentable(said.message, server.api_key)
    words = f"{server} {'failed' if status is None else f'answered {status}'}: {message}"
    if status == 404 and server.advice:
        words += f" ({server.advice})"
    match status:
        case 400 | 413 | 422 if said.code in _CONTEXT_LENGTH_CODES:
            return ContextLengthExceededError(message, param=said.param)
        case 400 | 413 | 422:
            return InvalidRequestError(f"{server} refused the request: {message}", param=said.param)
        case 401 | 403:
            return UnavailableError(f"{server} refused the key; check {server.key_name}.")
        case 429 | 529:
            seconds = RETRY_SECONDS if wait_seconds is None else wait_seconds
            return OverloadedError(f"{server} is busy.", retry_after_seconds=seconds)
        case 404 | 503:
            return UnavailableError(words, retry_after_seconds=wait_seconds)
        case _:
            return UpstreamTimeoutError(words) if status == 504 else UpstreamError(words)


def complaint(body: object) -> Complaint:
    """Read `{"error": {"message", "code" or "type", "param"}}` or `{"error": "message"}`. Pure.

    OpenAI, Anthropic and those after them say the first, Ollama and TEI the second. Anything else
    is its own message.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        return Complaint(error)
    if not isinstance(error, dict):
        return Complaint(str(body))
    words = [error.get(key) for key in ("code", "type")]
    param = error.get("param")
    return Complaint(
        str(error.get("message") or ""),
        next((word for word in words if isinstance(word, str)), None),
        param if isinstance(param, str) else None,
    )


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """What `Retry-After` says, in seconds or as a date (RFC 9110, 10.2.3). Pure. None: nothing."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - now
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


async def _body(response: httpx2.Response, most_bytes: int) -> tuple[bytes, bool]:
    """As much of a body as may be, in the time that it may take; whether that is all of it."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS), aclosing(response.aiter_bytes()) as parts:
            async for part in parts:
                body += part
                if len(body) > most_bytes:
                    return bytes(body[:most_bytes]), False
    except TimeoutError:
        return bytes(body), False
    return bytes(body), True


def _presentable(message: str, api_key: str | None) -> str:
    """One line of bounded length, without the key."""
    line = " ".join(message.split())
    if api_key:
        line = line.replace(api_key, "***")
    return line[:MESSAGE_CHARACTERS] or "it does not say why."
