"""A Chromium that tests drive: one, in a thread of its own, since Playwright keeps a loop running.

A test asks for the fixture `page`; it is then run in the browser's thread (see conftest.py).
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_FLAGS = (
    "--no-sandbox",  # root may not use it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class NoBrowserError(Exception):
    """The system has no Chromium."""


class Browser:
    """Opens tabs that know nothing of each other. Everything is called in its thread."""

    def __init__(self, playwright: Playwright, chromium: Chromium, thread: ThreadPoolExecutor):
        self.playwright = playwright
        self._chromium = chromium
        self._thread = thread

    def run(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Call a function in the browser's thread."""
        return self._thread.submit(function, *args, **kwargs).result()

    def context(self, **options: object) -> BrowserContext:
        """Another person at another desk. In the browser's thread."""
        return self._chromium.new_context(**options)  # type: ignore[arg-type]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium, until the end. Raises NoBrowserError."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise NoBrowserError("no chromium here; on Debian: apt-get install chromium")
    with ThreadPoolExecutor(1, thread_name_prefix="browser") as thread:
        starting = thread.submit(lambda: sync_playwright().start())
        playwright = starting.result()
        try:
            chromium = thread.submit(
                playwright.chromium.launch, executable_path=path, args=list(_FLAGS)
            ).result()
            yield Browser(playwright, chromium, thread)
            thread.submit(chromium.close).result()
        finally:
            thread.submit(playwright.stop).result()
