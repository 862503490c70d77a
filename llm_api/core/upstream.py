"""Another server that is asked over HTTP: what its failures mean for our caller.

Knows neither what is asked nor in which dialect. `upstream_http` asks.
"""

import json
import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final

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
_ODD = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
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


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What a server has answered; of a failure, the beginning of it.

    The names of `headers` are compared without their case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """What the body says. Raises ValueError where it is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Understanding:
    """A block that reads an answer: what another form raises there becomes UpstreamError.

    It is entered for every event of a stream, so it is no generator.
    """

    server: UpstreamServer

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _ODD):
            words = f"{self.server} answered in a form that is not understood."
            raise UpstreamError(words) from error


def refusal(server: UpstreamServer, answer: WholeAnswer, param: str | None = None) -> LLMAPIError:
    """The error that an answer without success is to our caller.

    `param` is to be blamed for a request that the server does not take, if it blames none itself.
    """
    try:
        said = complaint(answer.json())
    except (ValueError, RecursionError):
        said = Complaint(answer.body.decode("utf-8", "replace"))
    said = replace(said, param=said.param or param)
    wait = retry_after_seconds(answer.headers, time.time())
    return failure(server, answer.status, said, wait)


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


def _presentable(message: str, api_key: str | None) -> str:
    """One line of bounded length, without the key."""
    line = " ".join(message.split())
    if api_key:
        line = line.replace(api_key, "***")
    return line[:MESSAGE_CHARACTERS] or "it does not say why."
