"""Who may come in, and which key may reach which path: read before any route is.

A rule holds for its path and for all below it. A path without a rule is not served, so a new route
is unreachable until its rule stands here. The table is asked with the very text that the router
matches, `scope["path"]`: decoded once by the HTTP server, and freed of a proxy's prefix and of one
slash at its end before either sees it (`served_path`). Neither of them decodes, joins, folds or
cleans it again, so `//`, `%2e%2e` or another case cannot mean one path here and another one there.
The Host header and the authority of an absolute-form request target are no part of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

from llm_api.core.access.caller import Caller
from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.keys import ApiKey, Keyring, Limits, Scope
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.usage import UsageBook
from llm_api.core.errors import PermissionDeniedError


@dataclass(frozen=True, slots=True)
class Rule:
    """What it takes to reach `path`: a key with all of `scopes`; without any, some key.

    `is_public` asks for no key at all, and then for this path alone; for what is below it as well
    with `is_public_below`. With `takes_files`, a body may be as large as a file.
    """

    path: str
    scopes: tuple[Scope, ...] = ()
    is_public: bool = False
    is_public_below: bool = False
    takes_files: bool = False

    def covers(self, path: str) -> bool:
        reaches_below = self.is_public_below or not self.is_public
        return path == self.path or (reaches_below and path.startswith(f"{self.path}/"))


POLICY: Final = (
    Rule("/", is_public=True),
    Rule("/assets", is_public=True, is_public_below=True),  # what the page is made of
    Rule("/health", is_public=True),
    Rule("/health/ready", is_public=True),
    Rule("/v1/chat/completions", ("generate",)),
    Rule("/v1/completions", ("generate",)),
    Rule("/infill", ("generate",)),
    Rule("/tokenize", ("generate",)),
    Rule("/detokenize", ("generate",)),
    Rule("/apply-template", ("generate",)),
    Rule("/v1/tokenize", ("generate",)),
    Rule("/v1/detokenize", ("generate",)),
    Rule("/v1/apply-template", ("generate",)),
    Rule("/v1/responses", ("generate",)),
    Rule("/v1/messages", ("generate",)),
    Rule("/v1/conversations", ("generate",)),
    Rule("/v1/embeddings", ("embed",)),
    Rule("/v1/rerank", ("embed",)),
    Rule("/v2/rerank", ("embed",)),
    Rule("/rerank", ("embed",)),
    Rule("/v1/reranking", ("embed",)),
    Rule("/reranking", ("embed",)),
    Rule("/embed", ("embed",)),
    Rule("/info", ("embed",)),
    Rule("/api/chat", ("generate",)),
    Rule("/api/generate", ("generate",)),
    Rule("/api/pull", ("admin",)),
    Rule("/api/delete", ("admin",)),
    Rule("/api/copy", ("admin",)),
    Rule("/api/embed", ("embed",)),
    Rule("/api/embeddings", ("embed",)),
    Rule("/api/tags"),
    Rule("/api/show"),
    Rule("/api/ps"),
    Rule("/api/version", is_public=True),
    Rule("/v1/files", ("rag",), takes_files=True),
    Rule("/v1/uploads", ("rag",), takes_files=True),
    Rule("/v1/rag/files", ("rag",), takes_files=True),
    Rule("/v1/rag/chat", ("rag", "generate")),
    Rule("/v1/rag", ("rag",)),
    Rule("/v1/vector_stores", ("rag",)),
    Rule("/v1/functions", ("functions",)),
    Rule("/mcp", ("functions",)),
    Rule("/v1/models/load", ("admin",)),
    Rule("/v1/models/unload", ("admin",)),
    Rule("/v1/models/pull", ("admin",)),
    Rule("/v1/models"),  # deleting asks for `admin` in its route
    Rule("/v1/requests"),
    Rule("/v1/engine", ("admin",)),
    Rule("/v1/cache", ("admin",)),
    Rule("/generate", ("generate",)),
    Rule("/chat", ("generate",)),
    Rule("/model-info"),
    Rule("/v1/keys", ("admin",)),
    Rule("/v1/organization/usage", ("admin",)),
    Rule("/v1/usage"),
    Rule("/config", ("admin",)),
    Rule("/metrics", ("admin",)),
    Rule("/docs"),
    Rule("/openapi.json"),
)
"""The first rule that covers a path holds."""


def rule_of(path: str) -> Rule | None:
    """What holds for a path as the router sees it; None where nothing is served. Pure."""
    return next((rule for rule in POLICY if rule.covers(path)), None)


LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
Network: TypeAlias = IPv4Network | IPv6Network
LOOPBACK_NETWORKS: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
DEFAULT_BODY_BYTES = 16 * 1024 * 1024
DEFAULT_UPLOAD_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """What the settings say of callers. By default: no key, and no page of another machine.

    Without a `keyring`, all requests are those of one caller with `open_limits`. `allowed_hosts`
    are names as the Host header has them, without port, in lower case; None stands for any.
    `cors_origins` may read answers in a browser, and send what changes something. `root_path` is
    the path below which a proxy serves this server; `trusted_proxies` may name it themselves.
    `keys` changes what the keyring reads; without `usage`, nobody counts what keys use.
    """

    keyring: Keyring | None = None
    limiter: Limiter = field(default_factory=lambda: Limiter(MemoryCounters()))
    open_limits: Limits = field(default_factory=Limits)
    allowed_hosts: frozenset[str] | None = LOOPBACK_HOSTS
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = DEFAULT_BODY_BYTES
    max_upload_bytes: int = DEFAULT_UPLOAD_BYTES
    root_path: str = ""
    trusted_proxies: tuple[Network, ...] = LOOPBACK_NETWORKS
    keys: KeyAdministration = field(default_factory=KeyAdministration)
    usage: UsageBook | None = None

    def caller(self, name: str) -> Caller:
        """Who asked for work that goes on without a request, by the identity of its key.

        Raises PermissionDeniedError where there is no such key (any more).
        """
        if self.keyring is None and name == "":
            return Caller(ApiKey(name="", digest="", limits=self.open_limits), self.limiter)
        key = None if self.keyring is None else self.keyring.named(name)
        if key is None:
            raise PermissionDeniedError("The API key that asked for this is gone.")
        return Caller(key, self.limiter, self.usage)

    def identify(self, secrets: Iterable[str]) -> ApiKey | None:
        """The key that all secrets are; without a `keyring`, a key without a name; else None.

        No credential is passed over: else one that a proxy added would decide.
        """
        if self.keyring is None:
            return ApiKey(name="", digest="", limits=self.open_limits)
        first, *others = [*map(self.keyring.find, secrets)] or [None]
        return first if all(other == first for other in others) else None
