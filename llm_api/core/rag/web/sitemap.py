"""The pages that a sitemap names, and the sitemaps that an index of them does (sitemaps.org)."""

import asyncio
import io
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

import httpx2

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.web.fetcher import BoundedInflater, Fetcher
from llm_api.core.rag.web.hosts import page_url
from llm_api.core.rag.web.robots import Robots

MAX_BYTES: Final = 50_000_000
"""Of one, unpacked: what the protocol permits."""
MAX_SITEMAPS: Final = 50
MAX_DEPTH: Final = 3
_GZIP: Final = b"\x1f\x8b"
_DECLARES: Final = (b"<!DOCTYPE", b"<!ENTITY", b"\0")  # NUL: no UTF-8, in which those would hide


async def sitemap_urls(
    fetcher: Fetcher, robots: Robots, sitemap: httpx2.URL, limit: int
) -> list[str]:
    """Pages of the sitemap's own host, each once, in its order.

    Raises InvalidRequestError for what is no sitemap, and what a fetch does.
    """
    found: dict[str, None] = {}
    level, seen = [sitemap], {str(sitemap)}
    for _ in range(MAX_DEPTH):
        below: list[httpx2.URL] = []
        for url in level:
            page = await fetcher.fetch(url, max_bytes=MAX_BYTES, allow=robots.check)
            for is_sitemap, named in await asyncio.to_thread(_read, page.data or b"", sitemap):
                if not is_sitemap:
                    found[str(named)] = None
                elif str(named) not in seen and len(seen) < MAX_SITEMAPS:
                    seen.add(str(named))
                    below.append(named)
                if len(found) >= limit:
                    return [*found]
        level = below
    return [*found]


def _read(data: bytes, sitemap: httpx2.URL) -> list[tuple[bool, httpx2.URL]]:
    """What a sitemap names on its own host, and whether each is a sitemap. Blocks."""
    if data.startswith(_GZIP):
        inflater = BoundedInflater(MAX_BYTES)
        inflater.feed(data)
        data = inflater.data()
    named = []
    for is_sitemap, text in _names(data):
        try:
            url = page_url(text)
        except InvalidRequestError:
            continue
        if _site(url) == _site(sitemap):
            named.append((is_sitemap, url))
    return named


def _site(url: httpx2.URL) -> str:
    return url.host.removeprefix("www.")


def _names(data: bytes) -> Iterator[tuple[bool, str]]:
    """Raises InvalidRequestError."""
    if any(word in data for word in _DECLARES):
        raise InvalidRequestError("It is no sitemap: its markup declares entities.")
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):  # a list of lines is one as well
        yield from ((False, line) for line in data.decode("utf-8", "replace").splitlines())
        return
    parent = ""
    try:
        # The declaration is looked for above: there are no entities.
        for event, element in ElementTree.iterparse(io.BytesIO(data), ("start", "end")):  # noqa: S314
            name = element.tag.rpartition("}")[2]
            if event == "start":
                parent = name if name in ("url", "sitemap") else parent
            elif name == "loc" and element.text:
                yield parent == "sitemap", element.text.strip()
            elif name in ("url", "sitemap"):
                element.clear()
    except ElementTree.ParseError as error:
        raise InvalidRequestError("It is no sitemap: its markup is broken.") from error
