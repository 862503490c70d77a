"""Which API a request speaks: by its path, and where two share that, by a header. Pure.

What depends on it: how an error is written, and by which names headers go.
"""

from typing import Final, Literal, TypeAlias

from starlette.types import Scope

Door: TypeAlias = Literal["openai", "anthropic", "ollama", "rerank"]

_PATHS: Final[tuple[tuple[str, Door], ...]] = (
    ("/v1/messages", "anthropic"),
    ("/api", "ollama"),
    ("/v1/rerank", "rerank"),
    ("/v2/rerank", "rerank"),
    ("/rerank", "rerank"),
    ("/v1/reranking", "rerank"),
    ("/reranking", "rerank"),
)
"""Each with all that is below it. Every other path is OpenAI's."""

_SHARED_PATH: Final = "/v1/models"
_ANTHROPIC_HEADER: Final = b"anthropic-version"


def door_of(scope: Scope) -> Door:
    """The API of this request, as the router sees its path."""
    path: str = scope["path"]
    for beginning, door in _PATHS:
        if is_below(path, beginning):
            return door
    return "anthropic" if is_below(path, _SHARED_PATH) and _names_version(scope) else "openai"


def is_below(path: str, beginning: str) -> bool:
    return path.startswith(beginning) and path[len(beginning) :][:1] in ("", "/")


def _names_version(scope: Scope) -> bool:
    return any(name == _ANTHROPIC_HEADER for name, _ in scope["headers"])
