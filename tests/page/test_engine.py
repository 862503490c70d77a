"""The engine at work, under eight streams of the real small model, of which four fit at once."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
from playwright.sync_api import Page, expect

from llm_api.core.llm.files.installed import default_model_path
from tests.page.axe import violations
from tests.page.browser import Browser
from tests.page.conftest import KEY, PATIENCE_MILLISECONDS

STREAMS = 8
INSTRUCTIONS = "You are a patient teacher who explains in whole sentences. " * 8


@contextmanager
def streams(url: str) -> Iterator[None]:
    """Eight streams, and others after them, until the block ends."""

    def follow(number: int) -> None:
        asked = {
            "model": default_model_path().stem,
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": f"Tell me a long story about the number {number}."},
            ],
            "max_tokens": 500,
            "stream": True,
        }
        headers = {"authorization": f"Bearer {KEY}"}
        address = f"{url}/v1/chat/completions"
        while not is_over:
            with httpx2.stream("POST", address, json=asked, headers=headers, timeout=60) as answer:
                assert answer.status_code == 200
                for _ in answer.iter_lines():
                    if is_over:
                        break

    is_over: list[bool] = []
    with ThreadPoolExecutor(STREAMS) as threads:
        following = [threads.submit(follow, number) for number in range(STREAMS)]
        try:
            yield
        finally:
            is_over.append(True)
        for one in following:
            one.result()


@pytest.mark.timeout(120)
def test_engine_is_seen_at_work_under_eight_streams(
    browser: Browser, page: Page, page_url: str
) -> None:
    page.goto("/#/engine")
    engine = page.locator(".engine-card")
    expect(engine).to_be_visible()
    with streams(page_url):
        writing = engine.locator(".engine-slot.writing")
        expect(writing).to_have_count(4, timeout=PATIENCE_MILLISECONDS)
        runs = re.compile(r"writing: shared prefix \d+, own prompt \d+, answer \d+ tokens")
        expect(writing.last.get_by_role("img")).to_have_attribute(
            "aria-label", runs, timeout=PATIENCE_MILLISECONDS
        )
        expect(engine.locator(".engine-figures")).to_contain_text("4 waiting")
        requests = page.get_by_role("table", name="Requests on their way")
        expect(requests.get_by_role("row")).to_have_count(STREAMS + 1)
        expect(requests).to_contain_text("place 1")
        expect(page.get_by_role("region", name="Queue by key")).to_contain_text("4 waiting")
        assert violations(page) == []
        page.set_viewport_size({"width": 360, "height": 740})
        wide = page.evaluate(
            "(v => v.scrollWidth - v.clientWidth)(document.querySelector('.view'))"
        )
        assert wide == 0
    expect(page.get_by_role("table", name="Requests that have ended")).to_be_visible()
    expect(engine.get_by_text("idle", exact=True)).to_be_visible()


def test_engine_costs_nothing_while_nobody_looks(browser: Browser, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/#/talk")
    page.wait_for_timeout(700)
    assert not [url for url in asked if "/v1/engine" in url]
    page.goto("/#/engine")
    expect(page.locator(".engine-card")).to_be_visible()
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.wait_for_timeout(300)
    assert [url for url in ended if url.endswith("/v1/engine/stream")]


def test_model_is_unloaded_and_loaded_again(browser: Browser, page: Page) -> None:
    page.goto("/#/engine")
    models = page.get_by_role("region", name="Models")
    name = default_model_path().stem
    models.get_by_role("button", name=f"Unload {name}", exact=True).click()
    models.get_by_role("button", name=f"Load {name}", exact=True).click()
    expect(models.get_by_role("button", name=f"Unload {name}", exact=True)).to_be_enabled()
