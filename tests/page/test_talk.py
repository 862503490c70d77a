"""Talk, on the default model: asked, streamed, stopped, taken up again, branched, found, saved."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.page.axe import check_accessible
from tests.page.browser import Browser

pytestmark = [pytest.mark.usefixtures("browser"), pytest.mark.long]

PHONE: ViewportSize = {"width": 360, "height": 740}
ENDLESS = "Write the numbers from 1 to 1000, separated by commas."
LONG = "Tell me a very long story about a lighthouse, a storm and three sailors."


def ask(page: Page, text: str) -> None:
    field = page.get_by_label("Your message")
    field.fill(text)
    field.press("Enter")


def answer(page: Page) -> Locator:
    return page.locator(".talk-answer").last


def end_of_answer(page: Page) -> None:
    expect(page.locator(".talk-answer[aria-busy=false]").last).to_be_visible()
    expect(page.locator(".talk-answer[aria-busy=true]")).to_have_count(0)


def set_longest(page: Page, tokens: int) -> None:
    page.get_by_label("How the model is asked").click()
    page.get_by_label("Longest answer").fill(str(tokens))
    page.get_by_label("Close").click()


def test_first_visit_to_the_first_streamed_word_and_what_it_took(page: Page) -> None:
    page.goto("/")
    set_longest(page, 24)
    ask(page, "Name three rivers.")
    expect(answer(page).locator(".markdown")).to_contain_text(re.compile(r"\w"))
    end_of_answer(page)
    figures = page.locator(".talk-figures")
    expect(figures).to_contain_text(
        re.compile(r"\d+ tokens? · .*tokens/s · .* read · \d+ % cached")
    )
    expect(page).to_have_url(re.compile(r"#/talk/resp_"))
    expect(page.get_by_role("link", name="Name three rivers.")).to_be_visible()


def test_answer_is_stopped_and_stays_as_far_as_it_was(page: Page) -> None:
    page.goto("/")
    page.get_by_label("How the model is asked").click()
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Close").click()
    ask(page, ENDLESS)
    expect(answer(page).locator(".markdown")).to_contain_text("1, 2")
    page.get_by_label("Stop the answer").click()
    expect(answer(page)).to_contain_text("Stopped.")
    expect(page.get_by_label("Send")).to_be_visible()


def test_page_that_is_closed_in_mid_answer_finds_it_finished(page: Page) -> None:
    page.goto("/")
    set_longest(page, 120)
    ask(page, LONG)
    expect(answer(page).locator(".markdown")).to_contain_text(re.compile(r"\w"))
    before = answer(page).locator(".markdown").inner_text()
    page.reload()
    expect(page.locator(".talk-said")).to_have_text(LONG)
    end_of_answer(page)
    assert answer(page).locator(".markdown").inner_text().startswith(before[:10])


def test_answer_goes_on_while_another_conversation_is_looked_at(page: Page) -> None:
    page.goto("/")
    set_longest(page, 150)
    ask(page, LONG)
    expect(answer(page).locator(".markdown")).to_contain_text(re.compile(r"\w"))
    page.get_by_role("link", name="New conversation").click()
    expect(page.get_by_text("What would you like to talk about?")).to_be_visible()
    page.go_back()
    expect(page.locator(".talk-said")).to_have_text(LONG)
    end_of_answer(page)
    expect(page.locator(".talk-figures")).to_be_visible()


def test_questions_and_answers_branch(page: Page) -> None:
    page.goto("/")
    set_longest(page, 8)
    ask(page, "Say one.")
    end_of_answer(page)
    page.get_by_label("Answer once more").click()
    expect(page.locator(".talk-foot .talk-branches")).to_contain_text("2 / 2")
    end_of_answer(page)
    page.get_by_label("Ask it in other words").click()
    page.get_by_label("The question in other words").fill("Say two.")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".talk-foot .talk-branches")).to_contain_text("3 / 3")
    expect(page.locator(".talk-said")).to_have_text("Say two.")
    end_of_answer(page)
    ask(page, "And then?")
    expect(page.locator(".talk-said")).to_have_count(2)
    end_of_answer(page)
    page.reload()
    expect(page.locator(".talk-said")).to_have_count(2)
    page.locator(".talk-question").first.get_by_label("Earlier branch").click()
    expect(page.locator(".talk-said")).to_have_text(["Say one."])
    page.locator(".talk-question").first.get_by_label("Later branch").click()
    expect(page.locator(".talk-said")).to_have_text(["Say two.", "And then?"])


def test_conversation_is_found_saved_and_deleted(page: Page) -> None:
    page.goto("/")
    set_longest(page, 8)
    ask(page, "What is a zeppelin?")
    end_of_answer(page)
    search = page.get_by_label("Search conversations")
    search.fill("nobody said this")
    expect(page.get_by_text("No conversation says that.")).to_be_visible()
    search.fill("ZEPPELIN")
    expect(page.locator(".talk-thread")).to_have_count(1)
    with page.expect_download() as saving:
        page.get_by_label("Save this conversation").click()
    saved = Path(saving.value.path())
    assert "What is a zeppelin?" in saved.read_text(encoding="utf-8")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Delete “What is a zeppelin?”").click()
    expect(page.locator(".talk-thread")).to_have_count(0)
    expect(page.get_by_text("What would you like to talk about?")).to_be_visible()


def test_attached_file_is_read(page: Page) -> None:
    page.goto("/")
    set_longest(page, 8)
    page.locator(".talk-line input[type=file]").set_input_files(
        {"name": "note.txt", "mimeType": "text/plain", "buffer": b"The river rose overnight."}
    )
    expect(page.locator(".talk-files")).to_contain_text("note.txt")
    expect(page.locator(".talk-files")).not_to_contain_text("%")
    ask(page, "What rose?")
    end_of_answer(page)
    expect(page.locator(".talk-question")).to_contain_text("note.txt")


def test_keyboard_alone_asks_and_opens_what_there_is(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Model", exact=True).wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#stage")).to_be_focused()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
        )
        reached.append(name)
        outline = page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle + "
            "getComputedStyle(document.activeElement.closest('form') ?? document.body).outlineStyle"
        )
        assert "solid" in outline, f"the focus on {name} is not seen"
        if name == "Your message":
            break
    assert {"New conversation", "Model", "How the model is asked", "Attach files"} <= set(reached)
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    expect(answer(page)).to_be_visible()
    page.get_by_label("Stop the answer").or_(page.get_by_label("Send")).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it_by_wcag(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto("/")
    page.get_by_label("Model", exact=True).wait_for()
    check_accessible(page)
    page.get_by_label("How the model is asked").click()
    check_accessible(page)
    page.keyboard.press("Escape")
    set_longest(page, 16)
    ask(page, "Write a list of two colours, and a table of them.")
    end_of_answer(page)
    check_accessible(page)
    page.set_viewport_size(PHONE)
    check_accessible(page)


def test_login_is_for_everyone_too(browser: Browser, page_url: str) -> None:
    context = browser.context(base_url=page_url)
    try:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("API key").wait_for()
        check_accessible(page)
    finally:
        context.close()


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto("/")
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("link", name="New conversation")).to_be_in_viewport()
    page.get_by_role("link", name="New conversation").click()
    set_longest(page, 8)
    ask(page, "averyveryveryverylongwordwithoutanyspaces" * 4)
    end_of_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator(".talk-scroll").evaluate("it => it.scrollWidth <= it.clientWidth")
    expect(page.get_by_label("Your message")).to_be_in_viewport()
