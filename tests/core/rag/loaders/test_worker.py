"""What crosses between the server and the process that parses."""

import pytest

from llm_api.core.rag.loaders import worker
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.worker import (
    LoadOutcome,
    answer_file,
    decode_answer,
    encode_answer,
    size_of,
)
from llm_api.core.rag.types import TextSection


@pytest.mark.parametrize("count", [0, 1, 1000, 2500])
def test_answer_comes_back_as_it_was_in_short_lines(count: int) -> None:
    sections = tuple(TextSection(n, ("Top", f'"{n}"\n'), n % 3 or None) for n in range(count))
    answer = LoadOutcome(LoadedText("words\nÄ", "Title", sections, {"rows": 3}, ("A page.",)))
    header, _, body = encode_answer(answer).partition(b"\n")
    assert size_of(header) == len(body)
    assert decode_answer(header, body) == answer
    assert max(map(len, body.splitlines())) < 100_000


def test_reason_comes_back() -> None:
    header, _, body = encode_answer(LoadOutcome(reason="it is damaged")).partition(b"\n")
    assert decode_answer(header, body) == LoadOutcome(reason="it is damaged")


def test_file_of_too_many_headings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_MAX_SECTIONS", 2)
    assert answer_file(b"# a\n\n# b\n", "a.md", FileLimits()).loaded is not None
    assert "2 headings" in answer_file(b"# a\n\n# b\n\n# c\n", "a.md", FileLimits()).reason
