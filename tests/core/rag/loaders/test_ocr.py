"""Text out of pictures: where it is on, in the order of the page, within bounds."""

import io
import time
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from llm_api.core.rag.loaders import ocr
from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits
from llm_api.core.rag.loaders.worker import answer_file
from tests.extras import needs_ocr

pytestmark = needs_ocr

LIMITS = FileLimits(ocr_seconds=60)
TOLD = "Its text was recognised (OCR), and may differ from what is written."


class FakeEngine:
    """Finds the same lines in every picture; each box is left, top, right and bottom."""

    def __init__(self, lines: Sequence[tuple[str, tuple[int, int, int, int]]]) -> None:
        self.lines = lines
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, picture: ocr.Picture) -> object:
        self.seen.append(picture.shape)
        corners = [
            [(left, top), (right, top), (right, bottom), (left, bottom)]
            for _, (left, top, right, bottom) in self.lines
        ]
        texts = tuple(text for text, _ in self.lines) or None
        return SimpleNamespace(boxes=np.array(corners), txts=texts)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine([("Second line", (50, 60, 180, 80)), ("First", (50, 30, 110, 50))])
    monkeypatch.setattr(ocr, "_engine", lambda: fake)
    return fake


def image(*pages: str, kind: str = "PNG", size: tuple[int, int] = (800, 200)) -> bytes:
    """A picture of text for each page, black on white; TIFF and PDF take several."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=32)
    pictures = []
    for text in pages:
        picture = Image.new("RGB", size, "white")
        ImageDraw.Draw(picture).text((20, 20), text, fill="black", font=font)
        pictures.append(picture)
    packed = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if len(pictures) > 1 else {}
    pictures[0].save(packed, kind, **more)
    return packed.getvalue()


def test_scanned_page_and_image_are_read_by_the_real_models() -> None:
    words = "Größe of the bolt: 25 mm\nEach costs 1.20 €"
    found = load(image(words), "a.png", LIMITS)
    assert "the bolt: 25 mm\nEach costs 1.20" in found.text
    assert found.metadata["kind"] == "image"
    assert found.warnings == (TOLD,)
    scan = load(image(words, kind="PDF"), "a.pdf", LIMITS)
    assert "the bolt: 25 mm\nEach costs 1.20" in scan.text
    assert scan.warnings == (
        "Pages whose text was recognised (OCR), and may differ from what is written: 1.",
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_every_kind_of_image_is_read_from_top_to_bottom(engine: FakeEngine, kind: str) -> None:
    if kind == "BMP":
        assert "binary" in answer_file(image("", kind=kind), "a.bmp", LIMITS).reason
        return
    assert load(image("", kind=kind), "a", LIMITS).text == "First\nSecond line\n\n"


def test_each_page_of_an_image_has_its_number(engine: FakeEngine) -> None:
    found = load(image("", "", "", kind="TIFF"), "a.tif", LIMITS)
    assert [section.page for section in found.sections] == [1, 2, 3]
    assert found.metadata["pages"] == 3
    few = answer_file(image("", "", kind="TIFF"), "a.tif", FileLimits(ocr_seconds=60, pages=1))
    assert few.reason == "it has more than 1 pages"


def test_columns_of_a_scan_are_read_one_after_the_other(engine: FakeEngine) -> None:
    engine.lines = [
        (f"{side} goes on in line {place} and", (x, 40 * place, x + 300, 40 * place + 25))
        for place in range(8)
        for side, x in (("this", 50), ("that", 420))
    ]
    lines = load(image(""), "a.png", LIMITS).text.strip().split("\n")
    assert [line[:4] for line in lines] == ["this"] * 8 + ["that"] * 8


def test_pages_that_there_is_no_time_for_are_named(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    found = load(image("", "", "", kind="TIFF"), "a.tif", FileLimits(ocr_seconds=25))
    assert found.warnings == (TOLD, "Pages for which RAG_OCR_SECONDS left no time, not read: 1.")
    found = load(image("", "", "", kind="PDF"), "a.pdf", FileLimits(ocr_seconds=25))
    assert found.warnings[0] == (
        "Pages without text, not read: 3. No text was recognised on them, or RAG_OCR_SECONDS left"
        " no time."
    )


def test_large_pages_are_made_smaller_and_larger_ones_refused(engine: FakeEngine) -> None:
    load(image("", size=(9_000, 5_000)), "a.png", LIMITS)
    load(image("", kind="PDF", size=(9_000, 5_000)), "a.pdf", LIMITS)
    assert all(rows * columns <= ocr.MOST_PIXELS for rows, columns, _ in engine.seen)
    reason = answer_file(image("", size=(20_000, 6_000)), "a.png", LIMITS).reason
    assert reason == "the image is damaged, or too large (DecompressionBombError)"


def test_picture_without_words_says_so(engine: FakeEngine) -> None:
    engine.lines = []
    assert answer_file(image(""), "a.png", LIMITS).reason == "there is no text in it"
    assert "OCR" in answer_file(image("", kind="PDF"), "a.pdf", LIMITS).reason


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_image_that_is_broken_anywhere_is_read_or_refused_in_one_line(
    engine: FakeEngine, kind: str
) -> None:
    whole = image("words", kind=kind)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        for data in (whole[:place], whole[:place] + b"\xff" * 8 + whole[place + 8 :]):
            answer = answer_file(data, "a.png", LIMITS)
            assert answer.loaded is not None or answer.reason
            assert "\n" not in answer.reason
