"""`llm-api rag`: retrieval measured, and a collection embedded anew by another model."""

import json
from pathlib import Path

import pytest

from llm_api.core.embeddings.model_files import installed_default
from tests.cli.command import llm_api
from tests.core.embeddings.bert_gguf import write_bert_gguf

CORPUS = {
    "rivers": "The Danube is a long river.",
    "bread": "Sourdough bread rises by yeast.",
    "lamps": "Lighthouses have lenses.",
}


def write_beir(folder: Path, more: int = 0) -> None:
    """A corpus with as many `more` documents, and a question for each of these."""
    (folder / "qrels").mkdir(parents=True)
    places = {f"place{number}": f"The place called p{number}." for number in range(more)}
    corpus = [{"_id": id, "title": "", "text": text} for id, text in (CORPUS | places).items()]
    queries = [{"_id": "1", "text": "long river"}, {"_id": "2", "text": "yeast in bread"}]
    queries += [{"_id": id, "text": f"where is p{id[5:]}"} for id in places]
    for name, records in (("corpus", corpus), ("queries", queries)):
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        (folder / f"{name}.jsonl").write_text(lines)
    judged = "q\td\ts\n1\trivers\t1\n2\tbread\t1\n" + "".join(f"{id}\t{id}\t1\n" for id in places)
    (folder / "qrels" / "test.tsv").write_text(judged)


def test_eval_shows_each_mode_and_the_best(tmp_path: Path) -> None:
    write_beir(tmp_path / "beir")
    done = llm_api(tmp_path, "rag", "eval", "beir")
    assert done.returncode == 0, done.stderr
    head, *rows, best = done.stdout.splitlines()
    assert head.split() == ["mode", "nDCG@10", "recall@10", "MRR@10"]
    assert [row.split() for row in rows] == [
        [mode, "1.0000", "1.0000", "1.0000"] for mode in ("sparse", "dense", "hybrid")
    ]
    assert best == "Best here: sparse."
    assert not (tmp_path / "data").exists()


@pytest.mark.timeout(180)
def test_eval_asks_a_collection_and_keeps_what_is_better_of_it(tmp_path: Path) -> None:
    write_beir(tmp_path / "beir", more=10)
    for line in (tmp_path / "beir" / "corpus.jsonl").read_text().splitlines():
        record = json.loads(line)
        (tmp_path / record["_id"]).write_text(record["text"])
    names = [*CORPUS, *(f"place{number}" for number in range(10))]
    assert llm_api(tmp_path, "ingest", *names, "--local", "--collection", "c").returncode == 0
    asked = ("rag", "eval", "beir", "--collection", "c")
    done = llm_api(tmp_path, *asked, "--apply")
    assert done.returncode == 0, done.stderr
    *_, tuned, kept = done.stdout.splitlines()
    assert tuned.startswith("Tuned: ")
    is_better = tuned.endswith(" surely better.") and "not surely" not in tuned
    assert kept == f"c is searched {'so from now on' if is_better else 'as any other'}."
    gone = llm_api(tmp_path, "rag", "eval", "beir", "--collection", "none")
    assert (gone.returncode, "There is no collection 'none'" in gone.stderr) == (1, True)


def test_apply_needs_a_collection(tmp_path: Path) -> None:
    write_beir(tmp_path / "beir")
    done = llm_api(tmp_path, "rag", "eval", "beir", "--apply")
    assert done.returncode == 2
    assert "--apply needs --collection" in done.stderr


def test_folder_that_is_no_beir_folder_ends_with_one_line(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "rag", "eval", ".")
    assert (done.returncode, done.stderr) == (1, "Error: There is no test.tsv in the folder.\n")


@pytest.mark.timeout(180)
def test_reindex_gives_a_collection_the_vectors_of_another_model(tmp_path: Path) -> None:
    default = installed_default()
    assert default is not None
    (tmp_path / "a.txt").write_text("The Danube is a long river.")
    assert llm_api(tmp_path, "ingest", "a.txt", "--local").returncode == 0
    model = str(write_bert_gguf(default, tmp_path / "minilm.gguf"))
    (tmp_path / "b.txt").write_text("Sourdough bread rises by yeast.")
    refused = llm_api(tmp_path, "ingest", "b.txt", "--local", EMBEDDING_MODEL_NAME=model)
    assert refused.returncode == 1
    assert "llm-api rag reindex" in refused.stderr
    done = llm_api(tmp_path, "rag", "reindex", EMBEDDING_MODEL_NAME=model)
    assert (done.returncode, done.stdout) == (0, "1 documents of default are embedded anew\n")
    again = llm_api(tmp_path, "rag", "reindex", EMBEDDING_MODEL_NAME=model)
    assert again.returncode == 0
    assert again.stdout.startswith("default is embedded by this model already: nothing needs doing")
    stored = llm_api(tmp_path, "ingest", "b.txt", "--local", EMBEDDING_MODEL_NAME=model)
    assert (stored.returncode, stored.stdout) == (0, "1 created\n")


def test_reindex_of_nothing_is_said_so(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "rag", "reindex", "nothing")
    assert done.returncode == 1
    assert "There is no collection 'nothing'" in done.stderr
