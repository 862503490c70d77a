"""Reads the JSON that a client sends: a body, strictly and before FastAPI does, or a field.

Covers: the content type (a web page on another origin can send `text/plain` without asking,
and `application/json` only with the server's leave), depth, NaN, lone surrogates, broken UTF-8,
and bodies that are no object. A byte order mark, which some clients write, is passed over. Does not
cover: who may send it, and its size, which the middleware bounds.
"""

import asyncio
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.types import Message, Receive

from llm_api.api.deps import services_of
from llm_api.api.errors import Failure, RequestRefusedError
from llm_api.api.ignored import Bearing, bearing
from llm_api.api.request_facts import facts_of
from llm_api.core.errors import InvalidRequestError

LARGE_BODY_BYTES = 64 * 1024
"""From here on, parsing takes longer than the event loop should wait (about 1 ms)."""


class StrictJSONRequest(Request):
    """A request whose `json()` is a JSON object, or a refusal. Parses the body once."""

    _parsed: dict[str, Any] | None = None

    async def json(self) -> dict[str, Any]:
        """The body's JSON object. Raises RequestRefusedError."""
        if self._parsed is None:
            self._check_content_type()
            self._parsed = await _parse(await self.body())
        return self._parsed

    def _check_content_type(self) -> None:
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise _refusal(415, "unsupported_content_type", _WRONG_CONTENT_TYPE)


class JSONBodyRoute(APIRoute):
    """A route that takes a JSON object and refuses anything else in the envelope."""

    takes_unknown: ClassVar[bool] = False
    """Whether fields that nobody knows are borne, `STRICT_PARAMETERS` or not."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler FastAPI would use, behind a strict reading of the body."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict_request = StrictJSONRequest(request.scope, request.receive)
            # Read here: inside its own handler FastAPI turns whatever goes wrong into one 400.
            await strict_request.json()
            takes_unknown = self.takes_unknown or not services_of(request.app).strict_parameters
            with bearing(Bearing(facts_of(request.scope).ignored, takes_unknown)):
                return await handle(strict_request)

        return strictly


class BearingRoute(JSONBodyRoute):
    """The route of a door whose clients send what they like: unknown fields are ignored by name."""

    takes_unknown = True


def without_mark(receive: Receive) -> Receive:
    """The same messages, the first without a byte order mark, if that comes in one piece."""
    is_first = True

    async def stripped() -> Message:
        nonlocal is_first
        message = await receive()
        if is_first and message["type"] == "http.request":
            message = {**message, "body": message.get("body", b"").removeprefix(BOM_UTF8)}
        is_first = False
        return message

    return stripped


async def _parse(body: bytes) -> dict[str, Any]:
    body = body.removeprefix(BOM_UTF8)
    try:
        if len(body) < LARGE_BODY_BYTES:
            parsed = from_json(body, allow_inf_nan=False)
        else:
            parsed = await asyncio.to_thread(from_json, body, allow_inf_nan=False)
    except ValueError as error:
        # The parser's message holds a reason and a position, and nothing of the body.
        raise _refusal(
            400, "invalid_json", f"The request body is not valid JSON: {error}."
        ) from error
    if not isinstance(parsed, dict):
        raise _refusal(400, "invalid_type", "The request body must be a JSON object.")
    return parsed


_WRONG_CONTENT_TYPE = "Send the request body with the header 'Content-Type: application/json'."


def _refusal(status: int, code: str, message: str) -> RequestRefusedError:
    return RequestRefusedError(Failure(status, "invalid_request_error", message, code))


def parse_json_text(text: str, name: str) -> Any:
    """The JSON in a field of a form or of a query. Raises InvalidRequestError that names it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"'{name}' is not valid JSON.", param=name) from error
