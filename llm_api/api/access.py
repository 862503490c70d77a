"""Who may come in, and how: what `main` makes of the settings for the middleware. Plain values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.keys import ApiKey, Keyring, Limits
from llm_api.core.access.limiter import Limiter

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
Network: TypeAlias = IPv4Network | IPv6Network
LOOPBACK_NETWORKS: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
DEFAULT_BODY_BYTES = 16 * 1024 * 1024
DEFAULT_UPLOAD_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """The defaults are those of a server on loopback: no key, and no page of another machine.

    Without a `keyring`, whoever comes in is one caller with `open_limits`. `allowed_hosts` are
    names as the Host header has them, without port, in lower case; None stands for any.
    `cors_origins` may read answers in a browser, and send what changes something. `root_path` is
    the path below which a proxy serves this server; `trusted_proxies` may name it themselves.
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

    def identify(self, secrets: Iterable[str]) -> ApiKey | None:
        """The key that all of the secrets are, or who nobody asks for a key; else None.

        Of several credentials none is passed over: one that a proxy added would else decide.
        """
        if self.keyring is None:
            return ApiKey(name="", digest="", limits=self.open_limits)
        first, *others = [*map(self.keyring.find, secrets)] or [None]
        return first if all(other == first for other in others) else None
