import random
import re
import time
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import pytest

from llm_api.core.rag import chunking
from llm_api.core.rag.chunking import (
    MAX_BYTES_PER_TOKEN,
    ChunkSettings,
    CountTokens,
    split_document,
)
from llm_api.core.rag.types import Chunk, Document, TextSection


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_bytes(texts: Sequence[str]) -> list[int]:
    return [len(text.encode()) for text in texts]


def count_oddly(texts: Sequence[str]) -> list[int]:
    """A whole costs more than its parts together, as no tokenizer quite does."""
    return [len(words := text.split()) + len(words) // 3 for text in texts]


def chunked(text: str, tokens: int = 10, overlap: int = 0) -> list[str]:
    return [chunk.text for chunk in chunks_of(Document("d", text), tokens, overlap)]


def chunks_of(document: Document, tokens: int = 10, overlap: int = 0) -> list[Chunk]:
    return list(split_document(document, ChunkSettings(tokens, overlap), count_words))


def test_chunk_holds_whole_sentences_as_many_as_fit() -> None:
    text = "One two three. Four five six.  Seven eight nine. Ten eleven."
    assert chunked(text, 7) == ["One two three. Four five six.", "Seven eight nine. Ten eleven."]


def test_next_chunk_begins_with_the_last_sentences_that_fit_into_the_overlap() -> None:
    text = "One two. Three four. Five six. Seven eight."
    assert chunked(text, 6, 2) == ["One two. Three four. Five six.", "Five six. Seven eight."]
    assert chunked(text, 6, 1) == ["One two. Three four. Five six.", "Seven eight."]


def test_sentence_that_is_too_long_is_split_at_lines_and_then_at_words() -> None:
    assert chunked("a b c\nd e f g h i\nj", 4) == ["a b c\nd", "e f g h", "i\nj"]


def test_word_that_is_too_long_by_itself_is_the_only_one_that_is_cut() -> None:
    document = Document("d", "small " + "x" * 50 + " words")
    found = list(split_document(document, ChunkSettings(20, 0), count_bytes))
    assert [chunk.text for chunk in found] == [
        "small " + "x" * 12,
        "x" * 13,
        "x" * 12,
        "x" * 13 + " words",
    ]


def test_headings_begin_chunks_and_go_with_what_is_below_them() -> None:
    text = "intro words\n# Top\n\n## Part\nbody one.\n## Other\nbody two."
    sections = [("# Top", ("Top",)), ("## Part", ("Top", "Part")), ("## Other", ("Top", "Other"))]
    document = Document(
        "d", text, sections=tuple(TextSection(text.index(line), path) for line, path in sections)
    )
    assert [(chunk.headings, chunk.text) for chunk in chunks_of(document, 50)] == [
        ((), "intro words"),
        (("Top", "Part"), "# Top\n\n## Part\nbody one."),
        (("Top", "Other"), "## Other\nbody two."),
    ]


def test_chunk_keeps_little_of_a_heading_that_is_none() -> None:
    document = Document("d", "# x\nwords", sections=(TextSection(0, ("Top", "x" * 1_000_000)),))
    [chunk] = chunks_of(document)
    assert chunk.headings == ("Top", "x" * 200)


def test_sentence_runs_on_over_a_page_break_and_counts_for_the_page_it_begins_on() -> None:
    text = "Page one begins. It goes\n\non here. Page two ends. More."
    second = text.index("on here")
    document = Document("d", text, sections=(TextSection(0, (), 1), TextSection(second, (), 2)))
    assert [(chunk.page, chunk.text) for chunk in chunks_of(document, 6)] == [
        (1, "Page one begins. It goes"),
        (2, "on here. Page two ends. More."),
    ]


def test_document_without_words_has_no_chunks() -> None:
    assert chunks_of(Document("d", " \n ", sections=(TextSection(1, ("x",)),))) == []


def test_same_words_at_the_same_place_keep_their_id() -> None:
    first = chunks_of(Document("d", "One two three. Four five six."), 3)
    again = chunks_of(Document("d", "One two three. Four five seven."), 3)
    other = chunks_of(Document("e", "One two three. Four five six."), 3)
    assert first[0].id == again[0].id
    assert len({chunk.id for chunk in (*first, *again, *other)}) == 5
    assert all(str(UUID(chunk.id)) == chunk.id for chunk in first)


def random_document(walk: random.Random) -> Document:
    words = ["a", "bc.", "D", "ef!", "x" * 40, "\n", "\n\n", "日本。", "1.", "- ", "(", '"', "…"]
    text = " ".join(walk.choices(words, k=walk.randrange(120)))
    places = sorted(walk.sample(range(len(text) + 1), min(len(text), walk.randrange(6))))
    paths = [("A",), ("A", "B"), ("C",), ()]
    sections = (TextSection(place, walk.choice(paths), walk.choice([None, 3])) for place in places)
    return Document("d", text, sections=tuple(sections))


@pytest.mark.parametrize("batch", [chunking._BATCH, 2])
@pytest.mark.parametrize("count", [count_words, count_bytes, count_oddly])
def test_chunks_keep_their_laws_for_any_document(
    count: CountTokens, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking, "_BATCH", batch)
    walk = random.Random(11)
    for _ in range(300):
        document, tokens = random_document(walk), walk.randrange(4, 40)
        settings = ChunkSettings(tokens, walk.randrange(tokens))
        found = list(split_document(document, settings, count))
        assert found == list(split_document(document, settings, count))
        covered = set[int]()
        for chunk in found:
            assert chunk.text == document.text[chunk.span.start : chunk.span.end]
            assert chunk.text == chunk.text.strip() != ""
            assert count([chunk.text])[0] <= tokens
            assert len(chunk.text.encode()) <= tokens * MAX_BYTES_PER_TOKEN
            covered.update(range(chunk.span.start, chunk.span.end))
        assert {place.start() for place in re.finditer(r"\S", document.text)} <= covered
        assert [chunk.position for chunk in found] == list(range(len(found)))
        for before, after in pairwise(found):
            assert before.span.start < after.span.start
            assert before.span.end < after.span.end
            shared = document.text[after.span.start : before.span.end]
            if count is not count_oddly:
                assert count([shared.strip()])[0] <= settings.overlap_tokens + (
                    shared.count(" ") + shared.count("\n")
                )


@pytest.mark.parametrize("text", ["กรุงเทพมหานคร" * 200, "😀" * 2700, "x" * 9000])
def test_chunk_has_few_bytes_where_the_tokenizer_sees_few_tokens(text: str) -> None:
    found = chunks_of(Document("d", text), 200)
    assert max(len(chunk.text.encode()) for chunk in found) <= 200 * MAX_BYTES_PER_TOKEN
    assert "".join(chunk.text for chunk in found) == text


def test_spans_hold_in_a_text_of_carriage_returns() -> None:
    text = "One two.\r\n\r\nThree four.\r\n- five\r\n- six\r\n"
    found = chunks_of(Document("d", text), 3)
    assert [chunk.text for chunk in found] == ["One two.", "Three four.", "- five", "- six"]
    assert all(text[chunk.span.start : chunk.span.end] == chunk.text for chunk in found)


MEGABYTES = {
    "one letter": "x" * 1_000_000,
    "words": "word " * 200_000,
    "base64": "QUJD" * 250_000,
    "table": "a,b,c\n" * 170_000,
    "gap": "a" + " " * 1_000_000 + "b",
    "lines": " \n" * 500_000 + "b",
    "cjk": "字" * 300_000,
    "stars": "*" * 1_000_000,
    "stops": "." * 1_000_000,
    "quotes": '. "' * 330_000,
    "list": "- a\n" * 250_000,
    "emoji": "😀" * 250_000,
    "wide row": "; ".join(f"c{number}: {number}" for number in range(60_000)),
}


@pytest.mark.parametrize("text", MEGABYTES.values(), ids=MEGABYTES.keys())
@pytest.mark.parametrize("count", [count_words, count_bytes])
def test_megabyte_without_sentences_is_chunked_in_linear_time(
    text: str, count: CountTokens
) -> None:
    steps = counted = 0

    def count_and_note(texts: Sequence[str]) -> Sequence[int]:
        nonlocal steps, counted
        steps, counted = steps + 1, counted + sum(map(len, texts))
        assert sum(map(len, texts)) <= 80_000  # a step is short
        return count(texts)

    settings = ChunkSettings(200, 30)
    before = time.thread_time()
    found = list(split_document(Document("d", text), settings, count_and_note))
    assert time.thread_time() - before < 20  # a square would take hours
    assert counted <= 10 * len(text)
    assert all(count([chunk.text])[0] <= 200 for chunk in found)
    assert max(len(chunk.text.encode()) for chunk in found) <= 200 * MAX_BYTES_PER_TOKEN


def test_first_chunks_come_before_the_rest_is_looked_at() -> None:
    read = 0

    def count_and_note(texts: Sequence[str]) -> Sequence[int]:
        nonlocal read
        read += sum(map(len, texts))
        return count_words(texts)

    chunks = split_document(
        Document("d", "One two three. " * 1_000_000), ChunkSettings(), count_and_note
    )
    next(chunks)
    assert read < 1_000_000


def test_many_headings_are_chunked_in_linear_time() -> None:
    text = "# h\n" * 100_000
    paths = [tuple(f"h{level}" for level in range(number % 7)) for number in range(7)]
    sections = tuple(TextSection(4 * number, paths[number % 7]) for number in range(100_000))
    before = time.thread_time()
    found = chunks_of(Document("d", text, sections=sections), 200)
    assert time.thread_time() - before < 20
    assert sum(chunk.text.count("#") for chunk in found) == 100_000
