"""One server with the default model and one browser, for all tests of a file of the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from llm_api.config.settings import load_settings
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from tests.live import live_server, wait_until
from tests.page.browser import Browser, NoBrowserError, running_browser

KEY = "page-tests-key"
"""The key of the served application; `page` has given it already."""
PATIENCE_MILLISECONDS = 30_000
DESK = {"width": 1280, "height": 800}


expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, or the test is skipped."""
    try:
        with running_browser() as browser:
            yield browser
    except NoBrowserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def page_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the served application keeps what it is given."""
    return tmp_path_factory.mktemp("page-data")


@pytest.fixture(scope="session")
def page_url(page_data: Path) -> Iterator[str]:
    """The whole application with the default model, which asks for a key."""
    settings = load_settings(
        model_path=default_model_path(),
        parallel=4,
        context_length=2048,
        max_tokens=512,
        data_dir=page_data,
        api_key=KEY,
    )
    with live_server(create_app(settings)) as url:
        wait_until(lambda: httpx2.get(f"{url}/health/ready").status_code == 200, seconds=60)
        yield url


@contextmanager
def tab(browser: Browser, url: str, key: str = "", *, is_strict: bool = True) -> Iterator[Page]:
    """A tab of a new person at a server. What the page raises fails the test.

    With `is_strict`, so does what the Content-Security-Policy had to keep from happening.
    """
    errors: list[str] = []

    def opened() -> tuple[BrowserContext, Page]:
        context = browser.context(base_url=url, viewport=DESK, accept_downloads=True)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        if key:
            context.add_init_script(f"sessionStorage.setItem('llm_api.key', '{key}')")
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if is_strict:
            page.on("console", lambda one: errors.append(one.text) if is_violation(one) else None)
        return context, page

    context, page = browser.run(opened)
    try:
        yield page
    finally:
        browser.run(context.close)
    assert errors == []


def is_violation(said: ConsoleMessage) -> bool:
    """Whether the browser tells that the Content-Security-Policy kept something from happening."""
    return "Content Security Policy" in said.text


@pytest.fixture
def page(browser: Browser, page_url: str) -> Iterator[Page]:
    """A tab at the server, with its key given."""
    with tab(browser, page_url, KEY) as page:
        yield page


@pytest.fixture
def fake_page(browser: Browser, base_url: str) -> Iterator[Page]:
    """A tab at a server whose model plays a script; answers may be planted with anything."""
    with tab(browser, base_url, is_strict=False) as page:
        yield page


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run what uses the browser in the browser's thread."""
    browser = pyfuncitem.funcargs.get("browser")
    if not isinstance(browser, Browser):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    browser.run(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True
