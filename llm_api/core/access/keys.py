"""API keys: what one permits, how it is made, and how a presented one is recognised.

A key is 32 random bytes, so its SHA-256 is stored and compared: nobody can guess what was hashed,
and a slow hash, made for passwords, would only slow down every request. A key that a person chose
is as strong as the choice.

Covers: a copy of the stored hashes opens nothing; how long a comparison takes tells nothing of a
key. Does not cover: a key that its holder gives away, or that travels without TLS.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from llm_api.core.rag.rights import EVERY_DOCUMENT, DocumentRights

Scope: TypeAlias = Literal["generate", "embed", "rag", "functions", "admin"]
"""What a key is good for: text, vectors, documents, functions, and how the server is doing."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
USER_SCOPES: Final = SCOPES - {"admin"}

_PREFIX = "sk-llm-"
_BUCKET_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may use; None is without limit. Tokens are those of prompts and answers."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `name` is its identity: what is counted and shared goes by it.

    `digest` is that of the secret. `models` are ids or aliases; None stands for every model.
    `documents` is what the scope `rag` reaches.
    """

    name: str
    digest: str = field(repr=False)
    scopes: frozenset[Scope] = SCOPES
    models: frozenset[str] | None = None
    limits: Limits = Limits()
    documents: DocumentRights = EVERY_DOCUMENT

    @property
    def sharing_scope(self) -> str:
        """By which prefixes, answers and vectors that are kept are shared with later requests.

        With the rights to documents it changes: what was kept under earlier ones is not found.
        """
        return "#".join(filter(None, (self.name, self.documents.digest)))


def new_secret() -> str:
    """A fresh key: 256 bits, in characters that survive headers, shells and URLs."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """The SHA-256 of a key in hexadecimal digits. Pure."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Keyring:
    """Recognises keys: those that are `fixed`, and those that `load` returns at that moment.

    `load` is called for every key presented; while nothing has changed it has to return the same
    object.
    """

    def __init__(
        self, fixed: Sequence[ApiKey] = (), load: Callable[[], tuple[ApiKey, ...]] = tuple
    ) -> None:
        self._fixed = tuple(fixed)
        self._load = load
        self._loaded: tuple[ApiKey, ...] = ()
        self._buckets = _buckets(self._fixed)

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, compared in constant time within a bucket of its hash."""
        loaded = self._load()
        if loaded is not self._loaded:
            self._loaded, self._buckets = loaded, _buckets((*self._fixed, *loaded))
        digest = digest_of(secret)
        for key in self._buckets.get(digest[:_BUCKET_DIGITS], ()):
            if hmac.compare_digest(key.digest, digest):
                return key
        return None

    def named(self, name: str) -> ApiKey | None:
        """The key of this identity, as it is now."""
        keys = (*self._fixed, *self._load())
        return next((key for key in keys if key.name == name), None)


def _buckets(keys: Sequence[ApiKey]) -> Mapping[str, list[ApiKey]]:
    """Keys by the first digits of their hash, which nobody can choose who does not know it."""
    buckets: dict[str, list[ApiKey]] = {}
    for key in keys:
        buckets.setdefault(key.digest[:_BUCKET_DIGITS], []).append(key)
    return buckets
