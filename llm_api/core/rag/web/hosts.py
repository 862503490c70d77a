"""Which hosts may be asked for pages, and at which addresses. Pure.

Covers: names that lead to this machine, its network or a cloud's metadata service, in IPv4, IPv6,
IPv4 mapped into IPv6 and NAT64; ports of other services; credentials in URLs. Does not cover: what
the pages of a permitted host say, and who runs a host that was named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx2

from llm_api.core.errors import InvalidRequestError

MAX_URL: Final = 512
"""Characters: an address is the id of its document."""

_PORTS: Final = {"http": 80, "https": 443}
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Site:
    """A host, as the resolver takes it, and its port."""

    scheme: str
    host: str
    port: int

    @property
    def written(self) -> str:
        """The host as URLs have it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def name(self) -> str:
        return self.written if self.port == _PORTS[self.scheme] else f"{self.written}:{self.port}"


@dataclass(frozen=True, slots=True)
class HostRules:
    """`allowed` are names such as `wiki.local`, `wiki.local:8080` or `*.example.com`.

    Without a port, any is meant. They may have private addresses. With `allows_public`, all hosts
    are allowed as well whose addresses are all public, at the usual ports.
    """

    allowed: tuple[str, ...] = ()
    allows_public: bool = False

    def check(self, site: Site) -> None:
        """Raises InvalidRequestError for a host that is asked for nothing, whatever its address."""
        if self._is_named(site):
            return
        if not self.allows_public:
            raise InvalidRequestError(
                f"{site.name} is not among the hosts that pages are fetched from: see"
                " RAG_URL_ALLOWED_HOSTS and RAG_URLS."
            )
        if site.port != _PORTS[site.scheme]:
            raise InvalidRequestError(
                f"Pages are fetched from ports 80 and 443 alone, unless {site.name} is among"
                " RAG_URL_ALLOWED_HOSTS."
            )

    def check_addresses(self, site: Site, addresses: Sequence[str]) -> None:
        """Raises InvalidRequestError for addresses that this host may not have."""
        is_named = self._is_named(site)
        if not all(may_be_asked(address, is_named=is_named) for address in addresses):
            raise InvalidRequestError(
                f"{site.name} has an address that is not public: pages are not fetched from there."
            )

    def _is_named(self, site: Site) -> bool:
        names = (site.written, f"{site.written}:{site.port}")
        return any(
            allowed in names
            or (allowed.startswith("*.") and any(name.endswith(allowed[1:]) for name in names))
            for allowed in self.allowed
        )


def may_be_asked(address: str, *, is_named: bool) -> bool:
    """Whether to connect there: to a public address, or for a named host to a private one."""
    ip = _meant(address)
    if ip is None or ip.is_multicast or ip.is_link_local or ip.is_unspecified:
        return False
    if is_named:
        return True
    if isinstance(ip, IPv6Address):
        is_tunnel = ip.sixtofour is not None or ip.teredo is not None
        return ip.is_global and ip in _GLOBAL_UNICAST and not is_tunnel
    return ip.is_global and not ip.is_reserved


def _meant(address: str) -> IPv4Address | IPv6Address | None:
    """The address that is reached, out of an IPv6 form of it. None where it is none."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip


def page_url(text: str) -> httpx2.URL:
    """A URL of a page in the form that is its document's id. Raises InvalidRequestError."""
    try:
        url = httpx2.URL(text.strip())
        site_of(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise InvalidRequestError("This is no URL of a page: it begins with https://.") from error
    if url.userinfo:
        raise InvalidRequestError("A URL with a name or a password in it is not fetched.")
    host = url.host.removesuffix(".")
    port = None if _is_usual(url) else url.port
    url = url.copy_with(fragment=None, host=host, port=port, raw_path=url.raw_path)
    if len(str(url)) > MAX_URL or not str(url).isprintable():
        raise InvalidRequestError(f"A URL has at most {MAX_URL} characters.")
    return url


def site_of(url: httpx2.URL) -> Site:
    """Raises ValueError for what has none."""
    if url.scheme not in _PORTS or not url.host:
        raise ValueError(f"{url.scheme}: has no pages")
    port = url.port or _PORTS[url.scheme]
    if not 0 < port < 65_536:
        raise ValueError("no such port")
    return Site(url.scheme, url.raw_host.decode("ascii").lower().removesuffix("."), port)


def _is_usual(url: httpx2.URL) -> bool:
    return url.port == _PORTS[url.scheme]
