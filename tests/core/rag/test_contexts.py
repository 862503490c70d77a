"""Lines that place chunks: what they change of a document, and what they leave."""

import numpy as np

from llm_api.core.rag.contexts import MAX_LINE, PlacedDocument, shortened, window
from llm_api.core.rag.prepare import base_hash, passage
from llm_api.core.rag.types import Chunk, Document, Span

CHUNKS = [
    Chunk("a0", "a", 0, "It rose.", Span(0, 8), ("Rain",)),
    Chunk("a1", "a", 1, "It fell.", Span(9, 17)),
]
DOCUMENT = Document("a", "It rose. It fell.", "The river")
PLACED = PlacedDocument(DOCUMENT, "hash", CHUNKS, {1: "How the Danube fell in May."})
VECTORS = [np.zeros(2, np.float32)] * 2


def test_line_stands_between_the_headings_and_the_words_of_its_chunk_alone() -> None:
    assert PLACED.passages(with_lines=True) == [
        "The river\nRain\nIt rose.",
        "The river\nHow the Danube fell in May.\nIt fell.",
    ]
    plain = [passage(DOCUMENT, chunk) for chunk in CHUNKS]
    assert PLACED.passages(with_lines=False) == plain


def test_chunks_stay_as_they_are_and_what_is_replaced_is_named() -> None:
    new = PLACED.new(VECTORS, with_lines=True)
    assert [one.chunk for one in new.chunks] == CHUNKS
    assert [one.words for one in new.chunks] == PLACED.passages(with_lines=True)
    assert (new.lines, new.replaces, base_hash(new.content_hash)) == (1, "hash", "hash")
    assert new.content_hash != "hash"
    plain = PLACED.new(VECTORS, with_lines=False)
    assert (plain.lines, plain.replaces, plain.content_hash) == (0, None, "hash")


def test_word_search_keeps_the_title_that_has_no_room_in_what_is_embedded() -> None:
    long = PlacedDocument(Document("a", "It fell.", "T" * 100), "h", CHUNKS[1:], {1: "L" * 150})
    assert long.passages(with_lines=True) == [f"{'L' * 150}\nIt fell."]
    (chunk,) = long.new(VECTORS[:1], with_lines=True).chunks
    assert chunk.words == f"{'T' * 100}\n{'L' * 150}\nIt fell."


def test_chunks_of_one_window_see_the_same_text() -> None:
    text = "0123456789"
    assert window(text, Span(8, 9), 10) == text
    assert window(text, Span(0, 2), 4) == window(text, Span(3, 6), 4) == "0123"
    assert window(text, Span(9, 10), 4) == "89"


def test_long_line_ends_with_a_whole_word() -> None:
    assert shortened("short line") == "short line"
    words = "word " * 40
    assert shortened(words) == ("word " * 32).strip()
    assert len(shortened("x" * 400)) == MAX_LINE
