"""Functions, keys, comparing and "Try it", by hand and by keyboard, at a desk and on a phone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.page.axe import violations
from tests.page.browser import Browser
from tests.page.conftest import tab
from tests.page.ops_server import PLANTED, ROOT, OpsServer, ops_server

PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsServer]:
    with ops_server(tmp_path_factory.mktemp("ops")) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: OpsServer) -> Iterator[Page]:
    """A tab of an administrator."""
    with tab(browser, server.url, ROOT) as page:
        yield page


def check_fits(page: Page, selector: str = ".view") -> None:
    """Nothing is wider than what holds it, on a phone either."""
    assert page.locator(selector).evaluate("shown => shown.scrollWidth - shown.clientWidth") == 0


def test_function_is_tried_by_a_form_made_from_its_schema(browser: Browser, page: Page) -> None:
    page.goto("/#/functions")
    page.get_by_label("Find").fill("trip")
    page.get_by_role("link", name="plan_trip").click()
    run = page.get_by_role("button", name="Run")
    page.get_by_label("start").fill("Ulm")
    page.get_by_role("button", name="Add to stops").click()
    page.get_by_label("city").fill("Linz")
    page.get_by_label("minutes").fill("1.5")
    run.click()
    expect(page.get_by_text("A whole number is needed here.")).to_be_visible()
    page.get_by_label("minutes").fill("12")
    page.get_by_label("unit").select_option(label="miles")
    run.click()
    result = page.get_by_role("region", name="Result").locator("pre")
    expect(result).to_contain_text("minutes")
    shown = json.loads(result.inner_text())
    assert shown == {"route": ["Ulm", "Linz"], "minutes": 12, "unit": "miles"}
    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("Arguments as JSON")
    assert json.loads(text.input_value())["stops"] == [{"city": "Linz", "minutes": 12}]
    text.fill('{"start": 1}')
    run.click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    check_fits(page)


def test_what_a_function_returns_is_text_and_no_page(browser: Browser, page: Page) -> None:
    page.goto("/#/functions/planted")
    expect(page.locator(".functions-about")).to_contain_text(PLANTED)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("region", name="Result").locator("pre")).to_have_text(PLANTED)
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.planted") is None


def test_key_is_made_limited_and_revoked_and_its_secret_is_gone_from_the_page(
    browser: Browser, page: Page, server: OpsServer
) -> None:
    page.goto("/#/keys")
    page.get_by_role("button", name="New key").click()
    make = page.get_by_role("button", name="Make the key")
    page.get_by_label("Name").fill("No Name")
    make.click()
    expect(page.get_by_text("Up to 64 of")).to_be_visible()
    page.get_by_label("Name").fill("carol")
    page.get_by_label("Tokens a day").fill("100000")
    make.click()
    window = page.get_by_role("dialog", name="The key of carol")
    secret = window.locator("code").inner_text()
    assert server.ask(secret).status_code == 200
    assert violations(page) == []
    window.get_by_role("button", name="I have stored it").click()
    expect(page.get_by_role("link", name="carol")).to_be_visible()
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert secret not in page.content() + page.evaluate(kept)

    page.get_by_role("button", name="Limit carol").click()
    page.get_by_label("Tokens a day").fill("1")
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="carol")
    expect(row).to_contain_text("tokens a day: 1")
    assert server.ask(secret, max_tokens=2).status_code == 429

    page.get_by_role("button", name="Revoke carol").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert server.ask(secret).status_code == 401
    page.get_by_role("button", name="Revoke root").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("last key")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_usage_is_a_bar_for_each_day(browser: Browser, page: Page, server: OpsServer) -> None:
    assert server.ask("sk-alice").status_code == 200
    page.goto("/#/keys/alice")
    usage = page.get_by_role("region", name="Usage of alice")
    bars = usage.get_by_role("listitem")
    expect(bars).to_have_count(30)
    bars.last.focus()
    expect(usage.locator("figcaption")).to_contain_text("answers")
    expect(usage.get_by_role("cell", name="stub")).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    check_fits(page)


def test_key_without_the_right_sees_what_it_has_used_itself(
    browser: Browser, server: OpsServer
) -> None:
    context = browser.context(base_url=server.url)
    try:
        context.add_init_script("sessionStorage.setItem('llm_api.key', 'sk-alice')")
        page = context.new_page()
        page.goto("/#/keys")
        expect(page.get_by_role("heading", name="What this key has used")).to_be_visible()
        page.goto("/#/engine")
        expect(page.get_by_text("This key may not see the engine")).to_be_visible()
    finally:
        context.close()


def test_two_are_asked_at_once_and_compared(browser: Browser, page: Page) -> None:
    page.goto("/#/compare")
    prompt = page.get_by_label("Prompt for both")
    prompt.fill("Hello.")
    prompt.press("Control+Enter")
    for name in ("Left", "Right"):
        lane = page.get_by_role("region", name=name)
        expect(lane.get_by_text("The prompt has")).to_be_visible()
        expect(lane.get_by_role("meter", name="First word")).to_be_visible()
        assert "Nothing said yet" not in lane.inner_text()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    check_fits(page)


def test_what_was_done_runs_as_curl_python_and_javascript(
    browser: Browser, page: Page, server: OpsServer, tmp_path: Path
) -> None:
    page.goto("/#/functions/plan_trip")
    page.get_by_label("start").fill('it\'s "$HOME"')
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("region", name="Result")).to_be_visible()
    page.goto("/#/compare")
    page.get_by_label("Prompt for both").fill("Hello.")
    page.get_by_role("button", name="Ask both").click()
    expect(page.get_by_text("The prompt has").first).to_be_visible()

    page.get_by_role("button", name="Try it").click()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    check_fits(page, ".dialog-body")
    for what, said in (("/v1/chat/completions", "chunk"), ("/v1/functions/plan_trip", "$HOME")):
        page.get_by_label("What was done").select_option(label=f"POST {what}")
        for language, command in programs(tmp_path).items():
            page.get_by_role("tab", name=language).click()
            text = page.locator(".tryit-code pre").inner_text()
            assert ROOT not in text
            assert said in ran(command, text, tmp_path), (what, language)


def programs(folder: Path) -> dict[str, list[str]]:
    """What runs each language here, with the file of a program as its last argument."""
    found = {"Python": [sys.executable, str(folder / "program")]}
    if shutil.which("curl"):
        found["curl"] = ["bash", str(folder / "program")]
    if shutil.which("node"):
        found["JavaScript"] = ["node", "--input-type=module"]
    return found


def ran(command: list[str], text: str, folder: Path) -> str:
    """What the program prints, which begins with nothing but the key in its environment."""
    (folder / "program").write_text(text, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "API_KEY": ROOT}
    given = text if command[0] == "node" else None
    done = subprocess.run(  # noqa: S603 - what the page shows, which is what is tried
        command, input=given, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_is_reached_by_keyboard(browser: Browser, page: Page) -> None:
    page.goto("/#/keys")
    expect(page.get_by_role("table", name="Keys")).to_be_visible()
    page.get_by_role("button", name="New key").press("Enter")
    window = page.get_by_role("dialog", name="New key")
    expect(window).to_be_visible()
    page.keyboard.press("Escape")
    expect(window).to_have_count(0)
    page.get_by_role("button", name="Try it").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("tab", name="curl").press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
