import pytest

from llm_api.core.rag.prepare import MAX_HEADER, passage
from llm_api.core.rag.types import Chunk, Document, Span

LONG = "x" * MAX_HEADER


@pytest.mark.parametrize(
    ("title", "headings", "expected"),
    [
        ("", (), "words"),
        ("Title", (), "Title\nwords"),
        ("Title", ("A", "B"), "Title\nA\nB\nwords"),
        ("A", ("A", "B"), "A\nB\nwords"),
        ("Title", ("", "B"), "Title\nB\nwords"),
        (LONG, ("B",), "B\nwords"),
        ("Title", (LONG,), f"{LONG}\nwords"),
        (LONG + "x", (), "words"),
    ],
)
def test_words_stand_below_title_and_headings(
    title: str, headings: tuple[str, ...], expected: str
) -> None:
    chunk = Chunk("c", "d", 0, "words", Span(0, 5), headings)
    assert passage(Document("d", "words", title), chunk) == expected
