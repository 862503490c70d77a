"""From where pages may be fetched."""

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.web.hosts import HostRules, may_be_asked, page_url, site_of

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "240.0.0.1",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "fd00::1",
    "fec0::1",
]
NOBODYS = [
    "0.0.0.0",  # noqa: S104 - an address that means all of them
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "no address",
]
TUNNELS = ["2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b:1::7f00:1", "2001:db8::1"]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", [*PRIVATE, *NOBODYS, *TUNNELS])
def test_address_that_is_not_public_is_not_asked(address: str) -> None:
    assert not may_be_asked(address, is_named=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_asked_in_any_form(address: str) -> None:
    assert may_be_asked(address, is_named=False)


def test_host_that_was_named_may_be_private_and_nothing_worse() -> None:
    assert all(may_be_asked(address, is_named=True) for address in PRIVATE)
    refused = [one for one in NOBODYS if not may_be_asked(one, is_named=True)]
    assert refused == [one for one in NOBODYS if one != "255.255.255.255"]


def passes(rules: HostRules, url: str) -> bool:
    try:
        rules.check(site_of(page_url(url)))
    except InvalidRequestError:
        return False
    return True


def test_hosts_are_named_with_their_ports_or_by_what_they_end_in() -> None:
    rules = HostRules(("wiki.local", "docs.local:8080", "*.example.com", "[::1]:81"))
    for url in (
        "http://wiki.local/a",
        "https://WIKI.local",
        "http://wiki.local./a",
        "http://wiki.local:8080/a",
        "http://docs.local:8080/",
        "https://a.b.example.com/",
        "https://a.example.com:8443/",
        "http://[::1]:81/",
    ):
        assert passes(rules, url), url
    for url in (
        "http://docs.local/",
        "http://[::1]/",
        "https://example.com/",
        "https://example.com.evil.org/",
        "https://evilexample.com/",
        "http://127.0.0.1/",
    ):
        assert not passes(rules, url), url


def test_nothing_is_asked_where_nothing_is_named() -> None:
    assert not passes(HostRules(), "https://example.com/")


def test_public_hosts_are_asked_at_the_usual_ports() -> None:
    rules = HostRules(allows_public=True)
    assert passes(rules, "https://example.com/")
    assert passes(rules, "http://example.com:80/")
    assert not passes(rules, "http://example.com:6379/")
    assert not passes(rules, "http://example.com:443/")


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "//example.com/",
        "/a",
        "",
        "http://",
        "http:///a",
        "http://example.com:99999/",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        f"http://example.com/{'a' * 600}",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_url_of_a_page_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        page_url(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("HTTP://Example.com:80", "http://example.com/"),
        ("https://example.com/a/../b/./c?x=1#part", "https://example.com/b/c?x=1"),
        ("https://example.com.:443/", "https://example.com/"),
        ("https://exämple.de/ü", "https://xn--exmple-cua.de/%C3%BC"),
        ("https://example.com:8443/", "https://example.com:8443/"),
    ],
)
def test_url_of_a_page_has_one_form(text: str, canonical: str) -> None:
    assert str(page_url(text)) == canonical
