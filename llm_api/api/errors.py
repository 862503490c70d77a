"""Every error is written here, in the form of its door; those of the core get HTTP statuses.

A refusal of HTTP itself (a key, a host, a body, a head) is a `Failure` where it is found.

Covers core errors, request validation, 404 and 405, and (through the middleware) bugs.
A message never holds the text of an internal exception, and is bounded in length.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match, compile_path
from starlette.types import Receive, Scope, Send

from llm_api.api.disconnect import ClientLeftError
from llm_api.api.doors import Door, door_of
from llm_api.api.models.base import (
    ErrorBody,
    ErrorEnvelope,
    MessageErrorBody,
    MessageErrorEnvelope,
    OllamaError,
)
from llm_api.api.request_facts import facts_of
from llm_api.api.validation import describe_validation
from llm_api.core.errors import (
    CollectionNotFoundError,
    ContextLengthExceededError,
    ConversationNotFoundError,
    DocumentNotFoundError,
    DownloadError,
    EmbeddingError,
    EmbeddingMismatchError,
    FileBatchNotFoundError,
    FileNotInStoreError,
    FileTooLargeError,
    FunctionNotFoundError,
    GenerationError,
    InvalidRequestError,
    ItemNotFoundError,
    JobNotFoundError,
    KeyNotFoundError,
    KeysReadOnlyError,
    LLMAPIError,
    ModelInUseError,
    ModelNotFoundError,
    NoDiskSpaceError,
    NotOnHubError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitedError,
    RequestNotFoundError,
    ResponseNotFoundError,
    StateFullError,
    StorageFullError,
    StoredFileNotFoundError,
    UnavailableError,
    UploadNotFoundError,
    UpstreamError,
    UpstreamTimeoutError,
    VectorStoreNotFoundError,
)

MAX_MESSAGE_CHARACTERS = 1000
UNAVAILABLE_RETRY_SECONDS = 2.0
NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CLIENT_CLOSED_REQUEST = 499  # nginx's number; nobody is left to read it

_STATUSES: Mapping[type[LLMAPIError], tuple[int, str]] = {
    FileTooLargeError: (413, "invalid_request_error"),
    InvalidRequestError: (400, "invalid_request_error"),
    ModelNotFoundError: (404, "invalid_request_error"),
    NotOnHubError: (404, "invalid_request_error"),
    KeyNotFoundError: (404, "invalid_request_error"),
    KeysReadOnlyError: (409, "invalid_request_error"),
    ModelInUseError: (409, "invalid_request_error"),
    NoDiskSpaceError: (507, "server_error"),
    DownloadError: (502, "server_error"),
    FunctionNotFoundError: (404, "invalid_request_error"),
    CollectionNotFoundError: (404, "invalid_request_error"),
    JobNotFoundError: (404, "invalid_request_error"),
    StoredFileNotFoundError: (404, "invalid_request_error"),
    UploadNotFoundError: (404, "invalid_request_error"),
    VectorStoreNotFoundError: (404, "invalid_request_error"),
    FileNotInStoreError: (404, "invalid_request_error"),
    FileBatchNotFoundError: (404, "invalid_request_error"),
    DocumentNotFoundError: (404, "invalid_request_error"),
    ResponseNotFoundError: (404, "invalid_request_error"),
    ConversationNotFoundError: (404, "invalid_request_error"),
    ItemNotFoundError: (404, "invalid_request_error"),
    RequestNotFoundError: (404, "invalid_request_error"),
    EmbeddingMismatchError: (409, "invalid_request_error"),
    PermissionDeniedError: (403, "invalid_request_error"),
    OverloadedError: (429, "rate_limit_error"),
    RateLimitedError: (429, "rate_limit_error"),
    UnavailableError: (503, "server_error"),
    UpstreamTimeoutError: (504, "server_error"),
    UpstreamError: (502, "server_error"),
    StateFullError: (507, "server_error"),
    StorageFullError: (507, "server_error"),
    GenerationError: (500, "server_error"),
    EmbeddingError: (500, "server_error"),
    LLMAPIError: (500, "server_error"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the wire sees it."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_response(self, scope: Scope) -> Response:
        """The answer to the request with this scope."""
        text = error_text(self, door_of(scope), scope.get("state", {}).get("request_id"))
        return Response(text, self.status, dict(self.headers), media_type="application/json")


INTERNAL_FAILURE = Failure(
    500,
    "server_error",
    "The server failed on this request; its log says why, under the id in x-request-id.",
    "internal_error",
    headers=NO_RETRY,
)


def presentable(text: str) -> str:
    """Text that fits into an answer: bounded, and without lone surrogates. Pure."""
    if len(text) > MAX_MESSAGE_CHARACTERS:
        text = text[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


def error_text(failure: Failure, door: Door = "openai", request_id: str | None = None) -> str:
    """The JSON text of an error, as clients of this door read it. Pure."""
    return _WRITE[door](failure, presentable(failure.message), request_id)


def _openai(failure: Failure, message: str, _request_id: str | None) -> str:
    return ErrorEnvelope(error=_body(failure, message)).to_json()


def _body(failure: Failure, message: str) -> ErrorBody:
    param = None if failure.param is None else presentable(failure.param)
    return ErrorBody(message=message, type=failure.type, param=param, code=failure.code)


def _anthropic(failure: Failure, message: str, request_id: str | None) -> str:
    """Its agents shorten a conversation where they read that the prompt is too long."""
    if failure.code == ContextLengthExceededError.code:
        message = f"prompt is too long: {message}"
    default = "api_error" if failure.status >= 500 else "invalid_request_error"
    type_ = _ANTHROPIC_TYPES.get(failure.status, default)
    body = MessageErrorBody(type=type_, message=message)
    identified = {} if request_id is None else {"request_id": request_id}
    return MessageErrorEnvelope(type="error", error=body, **identified).to_json()


def _ollama(_failure: Failure, message: str, _request_id: str | None) -> str:
    return OllamaError(error=message).to_json()


def _rerank(failure: Failure, message: str, _request_id: str | None) -> str:
    """Cohere's clients read `message`, others the envelope."""
    body = _body(failure, message).model_dump()
    return to_json({"message": message, "error": body}).decode()


_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_WRITE: Final[Mapping[Door, Callable[[Failure, str, str | None], str]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "ollama": _ollama,
    "rerank": _rerank,
}


def describe(error: LLMAPIError) -> Failure:
    """The status, type and headers of a core error. Pure."""
    known = next(kind for kind in type(error).__mro__ if kind in _STATUSES)
    status, type_ = _STATUSES[known]
    return Failure(status, type_, error.message, error.code, error.param, _headers(error, known))


def _headers(error: LLMAPIError, known: type[LLMAPIError]) -> Mapping[str, str]:
    if isinstance(error, OverloadedError):
        return _retry_after(error.retry_after_seconds)
    if isinstance(error, RateLimitedError):
        seconds = error.retry_after_seconds
        return NO_RETRY if seconds is None else _retry_after(seconds)
    if isinstance(error, UnavailableError):
        seconds = error.retry_after_seconds
        return _retry_after(UNAVAILABLE_RETRY_SECONDS if seconds is None else seconds)
    return NO_RETRY if known is LLMAPIError else {}


def _retry_after(seconds: float) -> Mapping[str, str]:
    return {
        "retry-after": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, math.ceil(seconds * 1000))),
    }


def describe_http(error: HTTPException, method: str, path: str) -> Failure:
    """What Starlette raises: 404 and 405 foremost. Pure."""
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            message, code = f"Unknown request URL: {method} {path}.", "unknown_url"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            message, code = f"Not allowed to {method} on {path}.", "method_not_supported"
        case status:
            message, code = HTTPStatus(status).phrase + ".", "http_error"
    type_ = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return Failure(error.status_code, type_, message, code, headers=error.headers or {})


class RequestRefusedError(Exception):
    """A request refused by the HTTP layer itself, with its failure ready."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def refuse(failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a failure, as middleware does. Notes it."""
    facts_of(scope).error = failure.code
    await failure.to_response(scope)(scope, receive, send)


def add_error_handlers(app: FastAPI) -> None:
    """Make every error that a route raises speak as its door does. Mutates `app`."""
    handlers: Mapping[type[Exception], Any] = {
        LLMAPIError: _on_core_error,
        RequestValidationError: _on_validation_error,
        HTTPException: _on_http_error,
        RequestRefusedError: _on_refusal,
        ClientLeftError: _on_client_left,
        ClientDisconnect: _on_client_left,  # inside its body
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _on_core_error(request: Request, error: LLMAPIError) -> Response:
    return _answered(request, describe(error))


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    problem = describe_validation(error.errors(), error.body)
    return _answered(
        request,
        Failure(400, "invalid_request_error", problem.message, problem.code, problem.param),
    )


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    failure = describe_http(error, request.method, request.url.path)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        failure = replace(failure, headers={**failure.headers, "Allow": _allowed(request)})
    return _answered(request, failure)


def _allowed(request: Request) -> str:
    """The methods of this path. Starlette knows those of the first route that matches it.

    A path that is documented has those alone, though `/v1/models/{model}` would match it too.
    """
    routes = request.app.router.routes
    documented = _documented_methods(request)
    return ", ".join(
        method
        for method in _METHODS
        if (documented is None or method in documented)
        and any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    )


def _documented_methods(request: Request) -> set[str] | None:
    paths = request.app.openapi()["paths"]
    matching = [path for path in paths if compile_path(path)[0].match(request.scope["path"])]
    nearest = min(matching, key=lambda path: (path.count("{"), -len(path)), default=None)
    return None if nearest is None else {method.upper() for method in paths[nearest]}


async def _on_refusal(request: Request, error: RequestRefusedError) -> Response:
    return _answered(request, error.failure)


def _answered(request: Request, failure: Failure) -> Response:
    facts_of(request.scope).error = failure.code
    return failure.to_response(request.scope)


async def _on_client_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)
