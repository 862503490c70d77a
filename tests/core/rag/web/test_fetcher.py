"""Pages fetched within bounds."""

import asyncio
import zlib

import httpx2
import pytest

from llm_api.core.errors import InvalidRequestError, UpstreamError, UpstreamTimeoutError
from llm_api.core.rag.web.fetcher import (
    FetchedPage,
    FetchLimits,
    Validators,
    Web,
    new_transport,
    nothing_known,
)
from llm_api.core.rag.web.hosts import HostRules, page_url
from llm_api.core.rag.web.robots import Robots
from tests.core.rag.web.sites import PUBLIC, Said, Sites, moved, page, squeezed

SITE = "https://example.com"


async def fetch(web: Web, url: str = f"{SITE}/a", known: Validators | None = None) -> FetchedPage:
    async def validators(asked: str) -> Validators:
        return known or await nothing_known(asked)

    async with web.fetching() as fetcher:
        return await fetcher.fetch(page_url(url), validators)


async def test_page_comes_with_what_its_server_says_of_it() -> None:
    sites = Sites({f"{SITE}/a": page("words", etag='"1"', last_modified="Mon")})
    found = await fetch(sites.web())
    assert (found.url, found.media_type) == (f"{SITE}/a", "text/html")
    assert found.data is not None
    assert b"words" in found.data
    assert found.validators == Validators('"1"', "Mon")
    (request,) = sites.requests
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "example.com"
    assert request.extensions["sni_hostname"] == "example.com"
    assert not {"cookie", "authorization", "referer"} & request.headers.keys()


async def test_connection_goes_to_the_address_that_was_looked_at() -> None:
    """A name that means another address a moment later changes nothing."""
    sites = Sites({f"{SITE}/a": moved("/b"), f"{SITE}/b": page()})
    sites.addresses["example.com"] = [[PUBLIC], ["127.0.0.1"]]
    await fetch(sites.web())
    assert sites.connected == [PUBLIC, PUBLIC]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
async def test_host_with_an_address_that_is_not_public_is_not_connected_to(
    addresses: list[str],
) -> None:
    sites = Sites({f"{SITE}/a": page()}, {"example.com": [addresses]})
    with pytest.raises(InvalidRequestError, match="not public"):
        await fetch(sites.web())
    assert sites.connected == []


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1/",
        "http://inside.local/",
        "http://2130706433/",
        "https://example.com:6379/",
        "file:///etc/passwd",
        "https://user:secret@example.com/",
        "//inside.local/x",
    ],
)
async def test_redirect_is_checked_anew(to: str) -> None:
    inside = {host: [["127.0.0.1"]] for host in ("127.0.0.1", "inside.local", "2130706433")}
    sites = Sites({f"{SITE}/a": moved(to)}, inside)
    with pytest.raises(InvalidRequestError):
        await fetch(sites.web())
    assert sites.connected == [PUBLIC]


async def test_redirects_lead_to_the_url_of_the_page_and_are_bounded() -> None:
    sites = Sites({f"{SITE}/{n}": moved(f"/{n + 1}", 301) for n in range(5)})
    sites.said[f"{SITE}/5"] = page()
    assert (await fetch(sites.web(), f"{SITE}/0")).url == f"{SITE}/5"
    sites.said[f"{SITE}/5"] = moved("/0")
    with pytest.raises(UpstreamError, match="more than 5 redirects"):
        await fetch(sites.web(), f"{SITE}/0")


async def test_page_that_has_not_changed_is_not_sent_again() -> None:
    sites = Sites({f"{SITE}/a": Said(status=304)})
    found = await fetch(sites.web(), known=Validators('"1"', "Mon"))
    assert found.data is None
    assert sites.requests[0].headers["if-none-match"] == '"1"'
    assert sites.requests[0].headers["if-modified-since"] == "Mon"
    with pytest.raises(UpstreamError, match="304"):
        await fetch(sites.web())


LIMITS = FetchLimits(page_bytes=100_000, seconds=0.5)


@pytest.mark.parametrize(
    "said",
    [
        Said(b"x" * 100_001),
        Said(pieces=[b"x" * 60_000] * 2),
        squeezed(bytes(500_000_000)),
        Said(zlib.compress(bytes(200_000)), headers={"content-encoding": "deflate"}),
    ],
    ids=["one piece", "pieces", "bomb", "deflate"],
)
async def test_body_is_bounded_as_it_is_decoded(said: Said) -> None:
    with pytest.raises(InvalidRequestError, match="larger than 100,000 bytes"):
        await fetch(Sites({f"{SITE}/a": said}).web(limits=LIMITS))


async def test_compressed_page_is_decoded_and_a_cut_one_refused() -> None:
    whole = squeezed(b"words " * 10_000)
    found = await fetch(Sites({f"{SITE}/a": whole}).web(limits=LIMITS))
    assert found.data == b"words " * 10_000
    cut = Said(whole.body[:-20], headers=whole.headers)
    with pytest.raises(UpstreamError):
        await fetch(Sites({f"{SITE}/a": cut}).web(limits=LIMITS))
    strange = Said(b"x", headers={"content-encoding": "br"})
    with pytest.raises(UpstreamError, match="'br'"):
        await fetch(Sites({f"{SITE}/a": strange}).web(limits=LIMITS))


async def test_slow_server_is_left_in_time() -> None:
    class Slow(Sites):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await asyncio.sleep(60)
            raise AssertionError

    with pytest.raises(UpstreamTimeoutError):
        await fetch(Slow().web(limits=LIMITS))


async def test_server_that_trickles_is_left_in_time() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        web = Web(HostRules((f"127.0.0.1:{port}",)), LIMITS, new_transport=new_transport)
        with pytest.raises(UpstreamTimeoutError):
            await fetch(web, f"http://127.0.0.1:{port}/")


async def test_second_address_is_tried_where_the_first_takes_no_connection() -> None:
    class Halting(Sites):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.host == PUBLIC:
                raise httpx2.ConnectError("refused")
            return await super().handle_async_request(request)

    sites = Halting({f"{SITE}/a": page()}, {"example.com": [[PUBLIC, "8.8.8.8"]]})
    assert (await fetch(sites.web())).data is not None
    assert sites.connected == ["8.8.8.8"]


async def test_host_is_asked_for_few_pages_at_once() -> None:
    running = most = 0

    class Counting(Sites):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return await super().handle_async_request(request)

    sites = Counting({f"{SITE}/{n}": page() for n in range(10)})
    async with sites.web().fetching() as fetcher:
        await asyncio.gather(*(fetcher.fetch(page_url(url)) for url in sites.said))
    assert most == 2


@pytest.mark.parametrize(
    ("robots", "is_allowed"),
    [
        (Said(b"User-agent: *\nDisallow: /a"), False),
        (Said(b"User-agent: llm_api\nDisallow: /a"), False),
        (Said(b"User-agent: *\nDisallow: /b"), True),
        (Said(status=404), True),
        (Said(status=503), False),
        (moved("http://127.0.0.1/robots.txt"), False),
        (Said(b"\xff\x00 nonsense"), True),
    ],
)
async def test_what_a_host_asks_of_programs_holds(robots: Said, is_allowed: bool) -> None:
    sites = Sites({f"{SITE}/robots.txt": robots}, {"127.0.0.1": [["127.0.0.1"]]})
    async with sites.web().fetching() as fetcher:
        rules = Robots(fetcher)
        for _ in range(2):
            try:
                await rules.check(page_url(f"{SITE}/a"))
            except (InvalidRequestError, UpstreamError):
                assert not is_allowed
            else:
                assert is_allowed
