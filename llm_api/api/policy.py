"""Which key may reach which path: one table, read before any route is.

A rule holds for its path and for all below it. A path without a rule is not served, so a new route
is unreachable until its rule stands here. The table is asked with the very text that the router
matches, `scope["path"]`: decoded once by the HTTP server, and freed of a proxy's prefix and of one
slash at its end before either sees it (`served_path`). Neither of them decodes, joins, folds or
cleans it again, so `//`, `%2e%2e` or another case cannot mean one path here and another one there.
The Host header and the authority of an absolute-form request target are no part of it.
"""

from dataclasses import dataclass
from typing import Final

from llm_api.core.access.keys import Scope


@dataclass(frozen=True, slots=True)
class Rule:
    """What it takes to reach `path`: a key with all of `scopes`; without any, some key.

    `is_public` asks for no key at all, and then for this path alone, not for what is below it.
    With `takes_files`, a body may be as large as a file.
    """

    path: str
    scopes: tuple[Scope, ...] = ()
    is_public: bool = False
    takes_files: bool = False

    def covers(self, path: str) -> bool:
        return path == self.path or (not self.is_public and path.startswith(f"{self.path}/"))


POLICY: Final = (
    Rule("/health", is_public=True),
    Rule("/health/ready", is_public=True),
    Rule("/v1/chat/completions", ("generate",)),
    Rule("/v1/completions", ("generate",)),
    Rule("/v1/embeddings", ("embed",)),
    Rule("/v1/rag/files", ("rag",), takes_files=True),
    Rule("/v1/rag/chat", ("rag", "generate")),
    Rule("/v1/rag", ("rag",)),
    Rule("/v1/functions", ("functions",)),
    Rule("/mcp", ("functions",)),
    Rule("/v1/models"),
    Rule("/generate", ("generate",)),
    Rule("/chat", ("generate",)),
    Rule("/model-info"),
    Rule("/config", ("admin",)),
    Rule("/metrics", ("admin",)),
    Rule("/docs"),
    Rule("/openapi.json"),
)
"""The first rule that covers a path holds."""


def rule_of(path: str) -> Rule | None:
    """What holds for a path as the router sees it; None where nothing is served. Pure."""
    return next((rule for rule in POLICY if rule.covers(path)), None)
