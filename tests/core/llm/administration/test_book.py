"""What is remembered of models: by all processes, after a restart, and in spite of damage."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.administration.book import (
    BegunPull,
    BookContents,
    ModelBook,
    PulledModel,
)

WHOLE = BookContents(
    {"m": PulledModel("m", "owner/repo", "m.gguf", ("owner/repo/m.gguf",))},
    {"pull_1": BegunPull("pull_1", "owner/repo", "owner/repo", "m.gguf", 5.0)},
    {"gpt-4": "m"},
)


async def test_processes_see_what_another_has_changed(tmp_path: Path) -> None:
    mine, other = ModelBook(tmp_path / "book.json"), ModelBook(tmp_path / "book.json")
    assert other.contents() == BookContents()
    await mine.change(lambda _: WHOLE)
    assert other.contents() == mine.contents() == WHOLE
    await other.change(lambda known: replace(known, aliases={**known.aliases, "gpt-5": "m"}))
    assert mine.contents().aliases == {"gpt-4": "m", "gpt-5": "m"}


async def test_damaged_book_is_neither_believed_nor_written_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "book.json"
    book = ModelBook(file)
    await book.change(lambda _: WHOLE)
    assert book.contents() == WHOLE
    file.write_text('{"models": [')
    with caplog.at_level(logging.ERROR):
        assert book.contents() == book.contents() == WHOLE
    assert len(caplog.records) == 1
    with pytest.raises(ModelFileError, match="damaged"):
        await book.change(lambda _: BookContents())
    assert file.read_text() == '{"models": ['


async def test_change_that_raises_changes_nothing(tmp_path: Path) -> None:
    def refuse(_: BookContents) -> BookContents:
        raise ModelFileError("no")

    book = ModelBook(tmp_path / "book.json")
    await book.change(lambda _: WHOLE)
    with pytest.raises(ModelFileError):
        await book.change(refuse)
    assert ModelBook(tmp_path / "book.json").contents() == WHOLE
