"""Documents, on the default models: dropped in, searched, asked, cited, opened at the words."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.axe import check_accessible

pytestmark = [pytest.mark.usefixtures("browser"), pytest.mark.long]

RIVERS = (
    "# Rivers\n\nThe Elbe 🌊 rises in Bohemia. The Elbe is 1,094 kilometres long.\n\n"
    "Barges carry coal.\n"
)
HARBOUR = ("The harbour of Hamburg was opened in 1189.", "Ships wait for the tide at Cuxhaven.")
DROP = """([selector, files]) => {
  const transfer = new DataTransfer()
  for (const [name, text] of files) transfer.items.add(new File([text], name))
  const place = document.querySelector(selector)
  for (const type of ['dragover', 'drop']) {
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true }
    place.dispatchEvent(new DragEvent(type, options))
  }
}"""


def pdf_of(*lines: str) -> bytes:
    """A PDF of one page."""
    shown = " ".join(f"({line}) Tj T*" for line in lines)
    content = f"BT /F1 14 Tf 72 720 Td 18 TL {shown} ET"
    font = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R {font} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    ]
    body, offsets = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n"
    return f"{body}{end}startxref\n{len(body)}\n%%EOF".encode()


def make_collection(page: Page, name: str) -> None:
    page.goto("/#/documents")
    page.get_by_role("button", name="New collection").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    chosen = page.locator(".documents-collections [aria-current=page]")
    expect(chosen).to_contain_text(name)
    expect(page.locator(".documents-drop")).to_be_visible()


def done(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", name=words)).to_be_visible()


def test_document_is_dropped_in_asked_cited_and_opened_at_the_words(page: Page) -> None:
    make_collection(page, "rivers")
    page.evaluate(DROP, [".documents-drop", [["rivers.md", RIVERS], ["nothing.txt", ""]]])
    done(page, "2 files done")
    expect(page.locator(".documents-why")).to_be_visible()
    expect(page.get_by_role("link", name="Rivers", exact=True)).to_be_visible()
    check_accessible(page)
    page.get_by_role("tab", name="Ask").click()
    page.get_by_label("Ask these documents").fill("How long is the Elbe?")
    page.get_by_label("Ask these documents").press("Enter")
    expect(page.locator(".documents-sentences")).to_be_visible()
    expect(page.locator(".documents-sources")).to_contain_text("Rivers")
    check_accessible(page)
    place = page.locator(".documents-cite").or_(page.locator(".documents-sources a")).first
    place.click()
    mark = page.locator(".documents-text mark")
    expect(mark).to_be_in_viewport()
    assert mark.inner_text() in RIVERS
    expect(mark).to_contain_text("1,094 kilometres")
    check_accessible(page)
    page.keyboard.press("Escape")
    expect(page.locator(".documents-text")).to_have_count(0)


def test_conversation_answers_from_documents_and_its_citation_opens_the_words(page: Page) -> None:
    make_collection(page, "talked-of")
    page.evaluate(DROP, [".documents-drop", [["rivers.md", RIVERS]]])
    done(page, "1 file done")
    page.get_by_role("link", name="Talk", exact=True).click()
    page.get_by_label("How the model is asked").click()
    page.get_by_label("Answer from documents").select_option("talked-of")
    page.get_by_label("Longest answer").fill("48")
    page.get_by_label("Close").click()
    page.get_by_label("Your message").fill("How long is the Elbe?")
    page.get_by_label("Your message").press("Enter")
    expect(page.locator(".talk-figures")).to_be_visible()
    page.get_by_text("Searched for").click()
    place = page.locator(".talk-citations a").or_(page.locator(".talk-folded a")).first
    place.click()
    expect(page.locator(".documents-text mark")).to_contain_text("1,094 kilometres")


def test_pages_of_a_pdf_are_shown_with_the_words_marked(page: Page, tmp_path: Path) -> None:
    make_collection(page, "harbour")
    (tmp_path / "harbour.pdf").write_bytes(pdf_of(*HARBOUR))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    files = [tmp_path / "harbour.pdf", tmp_path / "broken.pdf"]
    page.locator("input.documents-files").set_input_files(files)
    done(page, "2 files done")
    expect(page.locator(".documents-why")).to_be_visible()
    page.get_by_role("tab", name="Search").click()
    page.get_by_label("Look for").fill("When was the harbour opened?")
    page.get_by_label("Look for").press("Enter")
    hit = page.locator(".documents-hits li").first
    expect(hit).to_contain_text("together")
    expect(hit).to_contain_text("meaning")
    expect(hit).to_contain_text("words")
    hit.get_by_role("link").click()
    expect(page.locator(".documents-words").first).to_be_in_viewport()
    expect(page.locator(".documents-words").first).to_have_text(HARBOUR[0])
    check_accessible(page)
    page.get_by_role("tab", name="Text").click()
    expect(page.locator(".documents-text mark")).to_contain_text("1189")


def test_planted_document_and_its_name_do_nothing(page: Page) -> None:
    make_collection(page, "planted")
    trap = "window.hurt = true"
    text = f"<script>{trap}</script><img src=x onerror='{trap}'> The treasure lies in Prague."
    page.evaluate(DROP, [".documents-drop", [[f"<img src=x onerror='{trap}'>.txt", text]]])
    done(page, "1 file done")
    page.locator(".table td a").first.click()
    expect(page.locator(".documents-text")).to_contain_text("<script>")
    assert page.locator("main img, main script, dialog img").count() == 0
    assert page.evaluate("window.hurt") is None


def test_documents_fit_a_phone_in_the_dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    make_collection(page, "phone")
    page.evaluate(DROP, [".documents-drop", [["long-name" * 9 + ".md", RIVERS]]])
    done(page, "1 file done")
    expect(page.locator(".table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".view").evaluate("it => it.scrollWidth <= it.clientWidth")
    check_accessible(page)
