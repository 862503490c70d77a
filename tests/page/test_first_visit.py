"""What a person meets first: the key, the views, the look."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.browser import Browser
from tests.page.conftest import KEY

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
