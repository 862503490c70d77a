"""How answers are drawn: harmless whatever they say, little at a time, and many of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.llm.types import ChatPrompt
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.fakes import FakeBackend, FakeServices, spoken
from tests.live import live_server
from tests.page.axe import check_accessible
from tests.page.browser import Browser
from tests.page.conftest import tab

pytestmark = [pytest.mark.usefixtures("browser"), pytest.mark.long]

ARABIC = "\u0645\u0631\u062d\u0628\u0627"
TRAP = "window.hurt = true"
PLANTED = f"""<script>{TRAP}</script><img src=x onerror="{TRAP}"><svg onload="{TRAP}"></svg>
<iframe srcdoc="<script>parent.{TRAP}</script>"></iframe><style>body {{ display: none }}</style>

[run](javascript:{TRAP}) [read](https://evil.example/a?b "title") ![beacon](https://evil.example/p.png)

<a href="data:text/html,<script>{TRAP}</script>" onclick="{TRAP}" id="stage" class="frame">data</a>
<form action="https://evil.example"><input name="key"><button>send</button></form>

```html
<script>{TRAP}</script>
```

$\\href{{javascript:{TRAP}}}{{x}}$ and $x^2$"""


def turn(id: str, text: str, *others: dict[str, Any], asked: str = "Ask") -> dict[str, Any]:
    """A turn as the server tells it, with whatever a model could have said."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "content": [part]}
    response = {
        "id": id,
        "object": "response",
        "status": "completed",
        "created_at": 0,
        "model": "m",
        "previous_response_id": None,
        "output": [*others, message],
        "usage": None,
        "error": None,
        "metadata": {},
    }
    content = [
        {"type": "input_file", "file_id": "file-1", "filename": f"<img onerror='{TRAP}'>.txt"},
        {"type": "input_text", "text": asked},
    ]
    return {
        "input": [{"type": "message", "role": "user", "content": content}],
        "response": response,
    }


def show(page: Page, turns: list[dict[str, Any]]) -> None:
    """Open a thread that consists of these turns."""
    body = json.dumps({"id": "resp_0", "object": "response.thread", "data": turns})

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="application/json")

    page.route("**/v1/responses/resp_0/thread", answer)
    page.goto("/#/talk/resp_0")


def test_what_a_model_a_tool_or_a_file_name_says_does_nothing(fake_page: Page) -> None:
    asked: list[str] = []
    fake_page.on("request", lambda request: asked.append(request.url))
    call = {
        "id": "mcp_1",
        "type": "mcp_call",
        "name": f"<b onclick='{TRAP}'>tool</b>",
        "arguments": json.dumps({"html": PLANTED}),
        "output": PLANTED,
        "error": None,
    }
    thought = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": PLANTED}],
    }
    show(fake_page, [turn("resp_0", PLANTED, thought, call, asked=PLANTED)])
    expect(fake_page.locator(".formula").first).to_be_attached()
    for fold in fake_page.locator("details summary").all():
        fold.click()
    answer = fake_page.locator(".talk-turn")
    assert (
        answer.locator(
            "script, img, iframe, style, form, input:not([type=file]), svg[onload]"
        ).count()
        == 0
    )
    for link in answer.locator(".markdown a").all():
        href = link.get_attribute("href")
        assert href is None or href.startswith("https://"), href
    read = answer.get_by_role("link", name="read").last
    assert read.get_attribute("rel") == "noopener noreferrer nofollow"
    assert read.get_attribute("target") == "_blank"
    assert read.get_attribute("data-host") == "evil.example"
    assert fake_page.evaluate("window.hurt") is None
    assert [url for url in asked if "evil" in url] == []
    assert fake_page.locator("#stage").count() == 1
    expect(answer.get_by_role("button", name="Copy", exact=True).last).to_be_visible()
    check_accessible(fake_page)


def test_formulas_tables_and_code_are_drawn(fake_page: Page) -> None:
    text = (
        "So $E = mc^2$, and it costs $5 or $6.\n\n$$\\int_0^1 x\\,dx$$\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |\n\n"
        "```python\ndef f():\n    return 1\n```\n\n" + ARABIC
    )
    show(fake_page, [turn("resp_0", text)])
    drawn = fake_page.locator(".markdown")
    expect(drawn.locator("math")).to_have_count(2)
    expect(drawn).to_contain_text("it costs $5 or $6.")
    expect(drawn.locator("td")).to_have_text(["1", "2", "3"])
    expect(drawn.locator(".hljs-keyword").first).to_have_text("def")
    check_accessible(fake_page)
    arabic = drawn.get_by_text(ARABIC)
    assert arabic.evaluate("it => getComputedStyle(it.closest('.block')).direction") == "rtl"


COUNT = """() => {
  window.frames_ = 0; window.drawn_ = 0
  const tick = () => { window.frames_ += 1; requestAnimationFrame(tick) }
  requestAnimationFrame(tick)
  const list = document.querySelector('.talk-turns')
  new MutationObserver(() => { window.drawn_ += 1 })
    .observe(list, { childList: true, subtree: true, characterData: true })
  for (const block of [...document.querySelectorAll('.block')].slice(0, 2)) {
    block.firstChild.isFirstDrawn = true
  }
}"""
KEPT = "[...document.querySelectorAll('.block')].slice(0, 2).map(it => it.firstChild.isFirstDrawn)"


def test_stream_is_drawn_once_a_frame_and_closed_blocks_are_left_alone(
    fake_page: Page, backend: FakeBackend
) -> None:
    paragraphs = "".join(f"Paragraph {n} of the answer.\n\n" for n in range(40))
    words = [word + " " for word in paragraphs.split(" ")]
    backend.script = lambda _: spoken(*words, pause_seconds=1 / 120)
    fake_page.goto("/")
    fake_page.get_by_label("Your message").fill("Hi")
    fake_page.get_by_label("Your message").press("Enter")
    expect(fake_page.locator(".markdown")).to_contain_text("Paragraph 2 of")
    fake_page.evaluate(COUNT)
    expect(fake_page.locator(".talk-foot")).to_be_visible()
    seen = fake_page.evaluate("({frames: frames_, drawn: drawn_})")
    assert fake_page.locator(".markdown .block").count() == 40
    assert 3 < seen["drawn"] <= seen["frames"] + 5
    assert fake_page.evaluate(KEPT) == [True, True]
    expect(fake_page.locator(".talk-foot")).to_be_in_viewport()


def test_thousand_messages_are_there_and_scroll(fake_page: Page) -> None:
    turns = [turn("resp_0", "Answer 0")]
    for number in range(1, 500):
        one = turn(f"resp_{number}", f"Answer **{number}**\n\n- a\n- b", asked=f"Question {number}")
        one["response"]["previous_response_id"] = f"resp_{number - 1}"
        turns.append(one)
    show(fake_page, turns)
    expect(fake_page.get_by_text("Question 499")).to_be_in_viewport()
    expect(fake_page.locator(".talk-turn")).to_have_count(500)
    fake_page.locator(".talk-scroll").evaluate("it => { it.scrollTop = 0 }")
    expect(fake_page.get_by_text("Answer 0")).to_be_in_viewport()


@pytest.fixture
def forgetful_page(browser: Browser, services: FakeServices, tmp_path: Path) -> Iterator[Page]:
    """A tab at a server that keeps no responses."""
    services.state = State(StateOptions(tmp_path, days=0))
    app = create_api(version="0")
    set_services(app, services)
    with live_server(app) as url, tab(browser, url) as page:
        yield page


def test_server_that_keeps_nothing_is_told_the_whole_conversation(
    forgetful_page: Page, backend: FakeBackend
) -> None:
    forgetful_page.goto("/")
    for text in ("First", "Second"):
        forgetful_page.get_by_label("Your message").fill(text)
        forgetful_page.get_by_label("Your message").press("Enter")
        expect(forgetful_page.locator(".talk-said").last).to_have_text(text)
        expect(forgetful_page.locator(".talk-answer[aria-busy=false]").last).to_be_visible()
        expect(forgetful_page.locator(".talk-answer[aria-busy=true]")).to_have_count(0)
        expect(forgetful_page.get_by_label("Send")).to_be_visible()
    expect(forgetful_page.get_by_text("This server keeps no conversations.")).to_be_visible()
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert [one.role for one in prompt.messages] == ["user", "assistant", "user"]
