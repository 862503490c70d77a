"""Reads a folder in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`. Blocks.

Tolerant of what is found in the wild: empty texts and lines, no titles, numbers as ids, a byte
order mark, judgements without a header or in TREC's four columns.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.types import Document, MetadataValue, Scalar


def read_corpus(folder: Path) -> Iterator[Document]:
    """One by one, in the order of the file."""
    for record in _records(folder / "corpus.jsonl"):
        metadata = record.get("metadata")
        yield Document(
            id=str(record["_id"]),
            text=str(record.get("text") or ""),
            title=str(record.get("title") or ""),
            metadata=_scalars(metadata) if isinstance(metadata, dict) else {},
        )


def read_queries(folder: Path) -> dict[str, str]:
    """Id of each question to its words."""
    records = _records(folder / "queries.jsonl")
    return {str(record["_id"]): str(record.get("text") or "") for record in records}


def read_judgements(folder: Path, split: str = "test") -> dict[str, dict[str, int]]:
    """Id of a question to the grade of each document that was judged for it."""
    path = folder / "qrels" / f"{split}.tsv"
    judgements: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        cells = line.split()
        if len(cells) not in (3, 4):
            raise UnreadableFileError(f"Line {number} of {path.name} has not 3 columns, nor 4.")
        question, document, grade = cells[0], cells[-2], _number(cells[-1])
        if grade is not None:
            judgements.setdefault(question, {})[document] = grade
        elif number > 1:  # the first line may be the header
            raise UnreadableFileError(f"Line {number} of {path.name} ends with no number.")
    return judgements


def _number(cell: str) -> int | None:
    try:
        return int(float(cell))
    except ValueError:
        return None


def _records(path: Path) -> Iterator[Mapping[str, object]]:
    for number, line in _lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFileError(f"Line {number} of {path.name} is no JSON.") from error
        if not isinstance(record, dict) or "_id" not in record:
            raise UnreadableFileError(f"Line {number} of {path.name} has no `_id`.")
        yield record


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        raise UnreadableFileError(f"There is no {path.name} in the folder.") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path.name} is not UTF-8.") from error


def _scalars(metadata: Mapping[str, object]) -> dict[str, MetadataValue]:
    """What of the metadata this server can hold: values that do not nest."""
    return {
        name: value
        for name, value in metadata.items()
        if value is None or isinstance(value, Scalar)
    }
