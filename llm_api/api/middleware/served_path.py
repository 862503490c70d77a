"""Which path of this server a request's path is: without a prefix, without a slash at its end.

Pure ASGI. Outermost, so that the policy, the router and the logs all see the one path.

A proxy that hands on what is below a path of its own, `/llm` say, takes that off or does not: with
ROOT_PATH both are served, and what this server says of its own URLs has it. A proxy that is trusted
may name it for each request in `X-Forwarded-Prefix`. By that header nothing is taken off: a client
whose header passes through could else call a path by another name than the proxy saw.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.policy import POLICY, Access, Network, rule_of

MAX_PREFIX_CHARACTERS = 200

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_UNVERSIONED = frozenset({"/messages", "/messages/count_tokens"})
_TWICE_VERSIONED = re.compile(r"/v1/v1/(?:messages|models)(?:/|$)")
_FREE_IDS = "/v1/rag/documents/"
"""Below it an id stands, which may end in a slash."""


def is_prefix(path: str) -> bool:
    """Whether a proxy can serve this server below `path`: not where it has a path itself. Pure."""
    is_path = len(path) <= MAX_PREFIX_CHARACTERS and _PREFIX.fullmatch(path)
    begins_ours = any(rule.path.startswith(f"{path}/") for rule in POLICY)
    return bool(is_path) and not begins_ours and rule_of(path) is None


def prefix_of(scope: Scope) -> str:
    """What stands before the paths of this server where this client sees them; mostly ""."""
    return str(scope.get("state", {}).get("prefix", ""))


class ServedPathMiddleware:
    """Sets `scope["path"]`, and the `prefix` of the request's state; completes `Location`."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._root_path = access.root_path
        self._proxies = access.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = _with_one_version(_below(self._root_path, scope["path"]))
        scope["path"] = _without_slash(path, scope)
        prefix = self._forwarded_prefix(scope) or self._root_path
        if not prefix:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})["prefix"] = prefix

        async def with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if (location := headers.get("location", "")).startswith("/"):
                    headers["location"] = prefix + location
            await send(message)

        await self.app(scope, receive, with_prefix)

    def _forwarded_prefix(self, scope: Scope) -> str:
        prefix = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
        return prefix if prefix and is_prefix(prefix) and self._is_trusted(scope) else ""

    def _is_trusted(self, scope: Scope) -> bool:
        client = scope.get("client")
        return client is not None and is_among(client[0], self._proxies)


def is_among(address: str, networks: Sequence[Network]) -> bool:
    """Whether the address is one, and of one of the networks. Pure."""
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:
        return False


def _below(root_path: str, path: str) -> str:
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        return path.removeprefix(root_path) or "/"
    return path


def _with_one_version(path: str) -> str:
    """The path as the policy names it. Anthropic's clients begin theirs with `/v1`, or do not.

    So that each works whether or not its base URL ends in `/v1`.
    """
    if path in _UNVERSIONED:
        return f"/v1{path}"
    return path[len("/v1") :] if _TWICE_VERSIONED.match(path) else path


def _without_slash(path: str, scope: Scope) -> str:
    """The path without one slash at its end: not one that was sent encoded, as part of an id."""
    is_id = path.startswith(_FREE_IDS) and path != _FREE_IDS
    is_sent = scope.get("raw_path", b"/").endswith(b"/")
    return path[:-1] if path.endswith("/") and path != "/" and is_sent and not is_id else path
