"""Web pages of other machines do not reach a server that anyone here may use. Pure ASGI.

Covers DNS rebinding (a page whose own name suddenly leads to this machine sends that name as Host)
and pages that send forms or scripts' requests here (a browser names their Origin). Does not cover
programs on this machine: they may say what they like. A page may still make a browser GET
something, whose answer it cannot read.
"""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_api.api.errors import Failure, refuse
from llm_api.api.policy import Access

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WRONG_HOST = Failure(
    421,
    "invalid_request_error",
    "This server does not go by the name in the Host header; ALLOWED_HOSTS names further ones.",
    "host_not_allowed",
)
_WRONG_ORIGIN = Failure(
    403,
    "invalid_request_error",
    "Pages of this origin may not use this server; CORS_ORIGINS names those that may.",
    "origin_not_allowed",
)


class HostCheckMiddleware:
    """Refuses a Host or an Origin that is not allowed; where any host is, it does nothing."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._hosts = access.allowed_hosts
        self._origins = frozenset(access.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refuse(refusal, scope, receive, send)

    def _refusal(self, scope: Scope) -> Failure | None:
        if self._hosts is None:
            return None
        headers = Headers(scope=scope)
        if [_name(host) in self._hosts for host in headers.getlist("host")] != [True]:
            return _WRONG_HOST
        origin = headers.get("origin")
        if origin is None or scope["method"] in _READING or origin in self._origins:
            return None
        return None if _name(urlsplit(origin).netloc) in self._hosts else _WRONG_ORIGIN


def _name(authority: str) -> str:
    """The host without its port, in lower case; "" for what is none. Pure."""
    match = _HOST.fullmatch(authority)
    return "" if match is None else match[1].lower()
