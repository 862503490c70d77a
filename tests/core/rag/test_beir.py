import os
from pathlib import Path

import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.beir import read_corpus, read_judgements, read_queries
from llm_api.core.rag.types import Document


def folder(path: Path, *, corpus: str = "", queries: str = "", qrels: str = "") -> Path:
    (path / "qrels").mkdir()
    (path / "corpus.jsonl").write_text(corpus)
    (path / "queries.jsonl").write_text(queries)
    (path / "qrels" / "test.tsv").write_text(qrels)
    return path


def test_collection_is_read(tmp_path: Path) -> None:
    collection = folder(
        tmp_path,
        corpus='\ufeff{"_id": "d1", "title": "T", "text": "words", "metadata": {"a": 1, "b": {}}}\n'
        '\n{"_id": 2, "text": null}\n',
        queries='{"_id": "q1", "text": "which words"}\n',
        qrels="query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t2\t0\n\nq2\td1\t-1\n",
    )
    assert list(read_corpus(collection)) == [
        Document("d1", "words", "T", {"a": 1}),
        Document("2", ""),
    ]
    assert read_queries(collection) == {"q1": "which words"}
    assert read_judgements(collection) == {"q1": {"d1": 2, "2": 0}, "q2": {"d1": -1}}


def read_all(path: Path) -> None:
    list(read_corpus(path))
    read_judgements(path)


@pytest.mark.parametrize("qrels", ["q1\td1\t1\n", "q1 0 d1 1\n", "q1\td1\t1.0\r\n"])
def test_judgements_may_have_no_header_and_trec_columns(tmp_path: Path, qrels: str) -> None:
    assert read_judgements(folder(tmp_path, qrels=qrels)) == {"q1": {"d1": 1}}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"corpus": '{"_id": "1"}\n{"_id"'}, "Line 2 of corpus.jsonl is no JSON"),
        ({"corpus": '{"id": "1"}'}, "Line 1 of corpus.jsonl has no `_id`"),
        ({"corpus": "[]"}, "Line 1 of corpus.jsonl has no `_id`"),
        ({"qrels": "a\tb\tc\nq\td\tmany\n"}, "Line 2 of test.tsv ends with no number"),
        ({"qrels": "q d\n"}, "Line 1 of test.tsv has not 3 columns"),
    ],
)
def test_broken_line_is_named(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    collection = folder(tmp_path, **files)
    with pytest.raises(UnreadableFileError, match=reason):
        read_all(collection)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"no queries\.jsonl"):
        read_queries(tmp_path)


def test_cranfield_is_read_whole() -> None:
    path = os.environ.get("CRANFIELD")
    if not path:
        pytest.skip("CRANFIELD names no folder with the collection in BEIR layout")
    documents = {document.id for document in read_corpus(Path(path))}
    queries, judgements = read_queries(Path(path)), read_judgements(Path(path))
    assert (len(documents), len(queries), len(judgements)) == (1400, 225, 225)
    assert {document for grades in judgements.values() for document in grades} <= documents
    assert judgements.keys() <= queries.keys()
