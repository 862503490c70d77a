"""What a person meets first: the key, the views, the look."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from tests.fakes import MODEL_ID, FakeServices
from tests.live import live_server
from tests.page.browser import Browser
from tests.page.conftest import KEY, tab

pytestmark = pytest.mark.usefixtures("browser")


def test_key_is_asked_for_once_and_a_wrong_one_again(browser: Browser, page_url: str) -> None:
    context = browser.context(base_url=page_url)
    try:
        page = context.new_page()
        page.goto("/")
        field = page.get_by_label("API key")
        field.fill("wrong")
        field.press("Enter")
        expect(page.get_by_text("This key is not accepted")).to_be_visible()
        field.fill(KEY)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        page.reload()
        expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        assert KEY not in str(context.storage_state())  # cookies and what other tabs see
    finally:
        context.close()


def test_look_is_chosen_and_kept(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Dark").click()
    page.reload()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()


@pytest.fixture
def proxied_page(browser: Browser, services: FakeServices) -> Iterator[Page]:
    """A tab at a server below the path `/llm`, whose model plays a script."""
    app = create_api(version="0", access=Access(root_path="/llm"))
    set_services(app, services)
    with live_server(app) as url, tab(browser, url) as page:
        yield page


def test_page_is_whole_below_the_path_of_a_proxy(proxied_page: Page) -> None:
    proxied_page.goto("/llm")
    expect(proxied_page.get_by_label("Model", exact=True)).to_contain_text(MODEL_ID)
    proxied_page.get_by_role("link", name="Documents").click()
    expect(proxied_page.get_by_role("heading", name="Documents")).to_be_visible()
    assert "/llm/#/documents" in proxied_page.url
