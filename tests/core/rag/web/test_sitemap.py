"""Sitemaps read within bounds."""

import gzip

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.web import sitemap
from llm_api.core.rag.web.hosts import page_url
from llm_api.core.rag.web.robots import Robots
from tests.core.rag.web.sites import Said, Sites

SITE = "https://example.com"
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def pages(*urls: str) -> bytes:
    named = "".join(f"<url><loc> {url} </loc><lastmod>2024</lastmod></url>" for url in urls)
    return f'<?xml version="1.0"?><urlset {NAMESPACE}>{named}</urlset>'.encode()


def index(*urls: str) -> bytes:
    named = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"<sitemapindex {NAMESPACE}>{named}</sitemapindex>".encode()


async def found(sites: Sites, limit: int = 100) -> list[str]:
    async with sites.web().fetching() as fetcher:
        return await sitemap.sitemap_urls(
            fetcher, Robots(fetcher), page_url(f"{SITE}/sitemap.xml"), limit
        )


async def test_pages_come_once_in_their_order_and_of_this_host_alone() -> None:
    data = pages(f"{SITE}/b", f"{SITE}/a", f"{SITE}/b#part", "https://other.org/", "file:///x")
    sites = Sites({f"{SITE}/sitemap.xml": Said(data)})
    assert await found(sites) == [f"{SITE}/b", f"{SITE}/a"]
    assert await found(sites, 1) == [f"{SITE}/b"]


async def test_index_and_compressed_sitemaps_are_followed() -> None:
    sites = Sites(
        {
            f"{SITE}/sitemap.xml": Said(index(f"{SITE}/1.xml.gz", f"{SITE}/2.txt")),
            f"{SITE}/1.xml.gz": Said(gzip.compress(pages(f"{SITE}/a"))),
            f"{SITE}/2.txt": Said(f"{SITE}/b\n{SITE}/c\n".encode()),
        }
    )
    assert await found(sites) == [f"{SITE}/a", f"{SITE}/b", f"{SITE}/c"]


async def test_sitemaps_that_name_one_another_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sitemap, "MAX_SITEMAPS", 5)
    names = [f"{SITE}/{number}.xml" for number in range(20)]
    sites = Sites({name: Said(index(f"{SITE}/sitemap.xml", *names)) for name in names})
    sites.said[f"{SITE}/sitemap.xml"] = Said(index(*names))
    assert await found(sites) == []
    assert len(sites.requests) == 1 + 5  # robots.txt as well


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><urlset/>'.encode("utf-16"),
        b"<urlset><url><loc>https://example.com/a",
        gzip.compress(bytes(60_000_000)),
    ],
    ids=["entities", "utf-16", "broken", "bomb"],
)
async def test_what_is_no_sitemap_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        await found(Sites({f"{SITE}/sitemap.xml": Said(data)}))
