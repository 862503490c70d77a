"""Measures the page in Chromium: its first paint, frames under a stream, a thousand messages.

python -m scripts.web.measure

The server is on loopback, and its model plays a script of 62 words a second. A frame counts as
dropped where the next one came after more than 25 ms; on a machine that does something else beside,
frames are dropped as well.
"""

import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from fastapi import FastAPI
from playwright.sync_api import Page

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.fakes import FakeBackend, FakeModels, FakeServices, spoken
from tests.live import live_server
from tests.page.browser import Browser, running_browser
from tests.page.test_drawing import show, turn

TEXT = Path(__file__).parent.parent.parent / "docs/documents.md"
WORDS = 600
ANSWER = "Answer **{0}**\n\n- a\n- b\n\n```python\nx = {0}\n```\n\nMore words, for a line."
WATCH = """() => {
  window.gaps = []
  let last = performance.now()
  const tick = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(tick) }
  requestAnimationFrame(tick)
}"""
SCROLL = """() => {
  gaps.length = 0
  const list = document.querySelector('.talk-scroll')
  let place = list.scrollHeight
  const step = () => {
    place -= 400
    list.scrollTop = place
    if (place > 0) requestAnimationFrame(step)
    else window.isScrolled = true
  }
  step()
}"""


@contextmanager
def served(backend: FakeBackend) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        state = State(StateOptions(Path(folder)))
        services = FakeServices(FakeModels([backend]), EmbedderRegistry([]), state=state)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
            async with services.loader, aclosing(state):
                yield

        app = create_api(lifespan, version="0")
        set_services(app, services)
        with live_server(app) as url:
            yield url


def first_paint(browser: Browser, url: str) -> float:
    """Milliseconds until something is seen, in a browser that has nothing of the page yet."""
    context = browser.context(base_url=url)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Your message").wait_for()
    found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return float(found)


def told_frames(page: Page) -> str:
    gaps = sorted(page.evaluate("gaps"))
    dropped = sum(gap > 25 for gap in gaps)
    return f"{len(gaps)} frames, {dropped} dropped, the longest {gaps[-1]:.0f} ms"


def stream(page: Page, backend: FakeBackend) -> None:
    words = [f"{word} " for word in TEXT.read_text(encoding="utf-8").split(" ")[:WORDS]]
    backend.script = lambda _: spoken(*words, pause_seconds=1 / 62)
    page.goto("/")
    page.get_by_label("Your message").fill("Hi")
    page.keyboard.press("Enter")
    page.locator(".markdown").wait_for()
    page.evaluate(WATCH)
    page.locator(".talk-foot").wait_for(timeout=60_000)
    print("stream:", told_frames(page), "-", page.locator(".talk-figures").inner_text())


def thousand(page: Page) -> None:
    turns = [turn("resp_0", "Answer")]
    for number in range(1, 500):
        one = turn(f"resp_{number}", ANSWER.format(number), asked=f"Question {number}")
        one["response"]["previous_response_id"] = f"resp_{number - 1}"
        turns.append(one)
    began = time.monotonic()
    show(page, turns)
    page.get_by_text("Question 499").wait_for()
    print(f"1,000 messages: the last is seen after {time.monotonic() - began:.2f} s")
    while page.locator(".talk-turn").count() < len(turns):
        time.sleep(0.05)
    print(f"1,000 messages: all are there after {time.monotonic() - began:.2f} s")
    page.evaluate(SCROLL)
    while not page.evaluate("!!window.isScrolled"):
        time.sleep(0.1)
    print("scrolled through:", told_frames(page))


def measure(browser: Browser, url: str, backend: FakeBackend) -> None:
    paints = [first_paint(browser, url) for _ in range(6)][1:]
    print(f"first paint: {statistics.median(paints):.0f} ms, median of {len(paints)}")
    context = browser.context(base_url=url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    stream(page, backend)
    thousand(page)
    context.close()


def main() -> None:
    backend = FakeBackend()
    with served(backend) as url, running_browser() as browser:
        browser.run(measure, browser, url, backend)


if __name__ == "__main__":
    main()
