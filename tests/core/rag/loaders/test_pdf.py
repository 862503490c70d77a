"""In which order a PDF page is read, what of it becomes text, and what is named."""

import time
from collections.abc import Sequence

import pytest

from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.pdf import load_pdf
from tests.core.rag.loaders.files import drawn_pdf, pdf

UPRIGHT, UP, DOWN, OVER = "1 0 0 1", "0 1 -1 0", "0 -1 1 0", "-1 0 0 -1"
STEPS = {UPRIGHT: (0, -14), UP: (14, 0), DOWN: (-14, 0), OVER: (0, 14)}
LEFT = (
    "The quick brown fox jumps over",
    "a lazy dog that sleeps in the",
    "sun and never wakes up for a",
    "moment. Another sentence goes",
    "on here for quite a while, and",
    "then ends at last for everybody.",
)
RIGHT = (
    "Meanwhile on the other side a",
    "cat watches everything with an",
    "interest that is hard to under-",
    "stand for people who do not live",
    "with cats. They are odd animals",
    "but we like them very much.",
)


def loaded(data: bytes) -> LoadedText:
    return load_pdf(data, FileLimits())


def draw(text: str, x: float, y: float, matrix: str = UPRIGHT) -> str:
    return f"BT /F1 10 Tf {matrix} {x} {y} Tm ({text}) Tj ET "


def turned(lines: Sequence[str], matrix: str) -> str:
    right, up = STEPS[matrix]
    return "".join(
        draw(line, 300 + right * place, 400 + up * place, matrix)
        for place, line in enumerate(lines)
    )


def side_by_side(left: Sequence[str], right: Sequence[str], x: int = 320) -> str:
    """Each line of both sides before the next line."""
    return "".join(
        draw(one, 72, 700 - 12 * place) + draw(other, x, 700 - 12 * place)
        for place, (one, other) in enumerate(zip(left, right, strict=True))
    )


@pytest.mark.parametrize("page", ["", "/Rotate 90", "/Rotate 180", "/Rotate 270"])
@pytest.mark.parametrize("matrix", STEPS)
def test_lines_are_read_in_their_order_however_they_are_turned(matrix: str, page: str) -> None:
    lines = ["Bolt 5", "Nut 7", "Cog 9"]
    assert loaded(drawn_pdf(turned(lines, matrix), page=page)).text.split("\n")[:3] == lines


def test_columns_that_are_drawn_line_by_line_are_read_one_after_the_other() -> None:
    title = draw("A title that goes across both of the columns, and further than either", 72, 740)
    text = loaded(drawn_pdf(title + side_by_side(LEFT, RIGHT))).text
    right = "\n".join(RIGHT).replace("under-\nstand", "understand")
    assert text.partition("\n")[2] == "\n".join(LEFT) + "\n" + right + "\n\n"


def test_columns_that_are_drawn_one_after_the_other_stay_so() -> None:
    columns = [
        "".join(draw(line, x, 700 - 12 * place) for place, line in enumerate(lines))
        for x, lines in ((72, LEFT), (320, RIGHT))
    ]
    text = loaded(drawn_pdf("".join(columns))).text
    assert text.startswith("\n".join(LEFT))


@pytest.mark.parametrize(
    ("left", "right", "x"),
    [
        (
            ["Bolt of steel", "Nut", "Cog"] * 3,
            ["a part that holds", "small", "with teeth"] * 3,
            320,
        ),
        (
            [f"Item number {place}" for place in range(9)],
            [f"{place} euros" for place in range(9)],
            320,
        ),
        (
            [f"Question {place}: what is it that we know?" for place in range(9)],
            [f"Answer {place}: nothing that is certain." for place in range(9)],
            320,
        ),
        (["Name", "Born", "Died", "Known for", "Place", "Note"], RIGHT, 160),
        (LEFT[:4], RIGHT[:4], 320),
    ],
)
def test_rows_of_a_table_are_not_taken_apart(
    left: Sequence[str], right: Sequence[str], x: int
) -> None:
    text = loaded(drawn_pdf(side_by_side(left, right, x))).text
    assert text.split("\n")[:2] == [f"{left[0]} | {right[0]}", f"{left[1]} | {right[1]}"]


def test_single_column_of_words_that_are_drawn_one_by_one_stays_whole() -> None:
    content = ""
    for place, line in enumerate(LEFT):
        x = 72.0
        for word in line.split():
            content += draw(word, x, 700 - 12 * place)
            x += 5.5 * len(word) + 4
    words = " ".join(loaded(drawn_pdf(content)).text.split())
    assert words == " ".join(LEFT)


FIELDS = (
    "<< /Type /Annot /Subtype /Widget /FT /Tx /T (a.name) /V (Ada) /Rect [9 9 99 29] >>",
    "<< /Type /Annot /Subtype /Widget /FT /Tx /T (key) /Ff 8192 /V (secret) /Rect [9 9 99 29] >>",
    "<< /Type /Annot /Subtype /FreeText /Contents (Check this) /Rect [9 39 99 59] >>",
    "<< /Type /Annot /Subtype /Text /Contents (hidden) /Rect [9 39 99 59] >>",
)


def test_values_of_forms_and_notes_on_the_page_are_read_and_comments_named() -> None:
    data = drawn_pdf(
        draw("words", 72, 700),
        page="/Annots [6 0 R 7 0 R 8 0 R 9 0 R]",
        catalog="/AcroForm << /Fields [6 0 R 7 0 R] >>",
        objects=FIELDS,
    )
    found = loaded(data)
    assert found.text == "words\nname: Ada\nCheck this\n\n"
    assert found.warnings == ("Comments, not read: 1.",)


PICTURE = "q 99 0 0 99 9 9 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q"


def test_pages_with_nothing_but_a_picture_are_named() -> None:
    found = loaded(drawn_pdf(PICTURE))
    assert found.text == ""
    assert found.warnings == (
        "Pages without text, not read: 1. If they are scans, RAG_OCR=auto recognises their text.",
    )


def test_picture_beside_text_is_named_by_its_page() -> None:
    found = loaded(drawn_pdf(draw("words", 72, 700) + PICTURE))
    assert found.warnings == ("Pages with pictures, which are not read: 1.",)


def test_outline_of_many_titles_for_one_long_page_is_read_in_time() -> None:
    data = pdf(["x " * 20_000, "end"], outline=[("x x x x x x x x x x y", 0)] * 2_000)
    began = time.thread_time()
    assert load_pdf(data, FileLimits()).sections[-1].headings == ("x x x x x x x x x x y",)
    assert time.thread_time() - began < 8


def test_blank_page_is_no_loss() -> None:
    assert loaded(pdf(["words", "", "words"])).warnings == ()
