"""Nobody passes without what the policy asks for. Pure ASGI; runs before any route is looked for.

Covers every HTTP request, and refuses WebSockets, which nothing here speaks. Does not cover which
models a key may use: `deps` does, as only the body names them.
"""

import re
from collections.abc import Iterator

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_api.api.errors import Failure, describe, describe_http, refuse
from llm_api.api.policy import Access, rule_of
from llm_api.core.access.caller import Caller
from llm_api.core.access.keys import ApiKey
from llm_api.core.errors import PermissionDeniedError

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_UNAUTHENTICATED = Failure(
    401,
    "invalid_request_error",
    "Send a valid API key, as 'Authorization: Bearer KEY' or as 'x-api-key: KEY'; if several are"
    " sent, each has to be the same.",
    "invalid_api_key",
    headers={"www-authenticate": 'Bearer realm="llm_api"'},
)
_NOBODY = ApiKey(name="", digest="", scopes=frozenset())


class GateMiddleware:
    """Sets `scope["state"]["caller"]`, and `key_name` for logs: None where no key was asked for."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif (refusal := self._refusal(scope)) is not None:
            await refuse(refusal, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Failure | None:
        """Why the request may not pass. Mutates the state of `scope`."""
        rule = rule_of(scope["path"])
        is_public = rule is not None and rule.is_public
        key = _NOBODY if is_public else self._access.identify(_presented(scope))
        if key is None:
            return _UNAUTHENTICATED
        caller = Caller(key, self._access.limiter, self._access.usage)
        scope["state"] |= {"caller": caller, "key_name": key.name or None}
        if rule is None:
            return describe_http(HTTPException(404), scope["method"], scope["path"])
        try:
            caller.require(*rule.scopes)
        except PermissionDeniedError as error:
            return describe(error)
        return None


def _presented(scope: Scope) -> Iterator[str]:
    """The keys that the headers hold, in their order."""
    for name, value in scope["headers"]:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            yield text
        elif name == b"authorization" and (bearer := _BEARER.fullmatch(text)):
            yield bearer[1]
