"""`llm-api embed`, with a small GGUF model: what it prints, and how it fails."""

import json
import subprocess
from pathlib import Path

import pytest

from llm_api.core.embeddings.model_files import installed_default
from tests.cli.command import llm_api
from tests.cli.here import Run, run
from tests.core.embeddings.bert_gguf import write_bert_gguf
from tests.fakes import FakeServices

__all__ = ["run"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = installed_default()
    assert folder is not None
    return str(write_bert_gguf(folder, tmp_path_factory.mktemp("gguf") / "minilm.gguf"))


def vectors(text: str) -> list[list[float]]:
    return [json.loads(line) for line in text.splitlines()]


def embedded(
    folder: Path, *texts: str, model: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    return llm_api(folder, "embed", "--local", *texts, stdin=stdin, EMBEDDING_MODEL_NAME=model)


def test_arguments_and_lines_give_the_same_vectors(tmp_path: Path, model: str) -> None:
    arguments = llm_api(
        tmp_path, "embed", "--local", "a river", "a bird", EMBEDDING_MODEL_NAME=model
    )
    assert (arguments.returncode, arguments.stderr) == (0, "")
    lines = llm_api(
        tmp_path, "embed", "--local", stdin="a river\n\r\na bird", EMBEDDING_MODEL_NAME=model
    )
    assert lines.stdout == arguments.stdout
    assert [len(vector) for vector in vectors(lines.stdout)] == [384, 384]


def test_vectors_may_be_shorter_where_the_user_insists(tmp_path: Path, model: str) -> None:
    options = ["embed", "--local", "a river", "--dimensions", "3"]
    refused = llm_api(tmp_path, *options, EMBEDDING_MODEL_NAME=model)
    assert refused.returncode == 1
    assert "EMBEDDING_ANY_DIMENSION=true" in refused.stderr
    done = llm_api(tmp_path, *options, EMBEDDING_MODEL_NAME=model, EMBEDDING_ANY_DIMENSION="true")
    assert len(vectors(done.stdout)[0]) == 3


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"EMBEDDING_MODEL_NAME": "absent.gguf"}, "no model file at absent.gguf"),
        ({"EMBEDDING_BACKEND": "none"}, "EMBEDDING_BACKEND is none"),
        ({"EMBEDDING_URL": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    done = llm_api(tmp_path, "embed", "--local", "a", **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_a_wrong_input_type_is_a_usage_error(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "embed", "a", "--input-type", "passage")
    assert done.returncode == 2
    assert "query or document" in done.stderr


def test_running_server_computes_them(base_url: str, services: FakeServices, run: Run) -> None:
    del services
    code, said, told = run("embed", "a river", "a bird", "--url", base_url)
    assert (code, told) == (0, "")
    assert len(vectors(said)) == 2
    code, said, told = run("embed", "--url", base_url, stdin="a river\n\na bird\n")
    assert (code, len(vectors(said))) == (0, 2)


def test_empty_text_is_refused_before_anything_is_loaded_or_asked(run: Run) -> None:
    code, said, told = run("embed", "a river", " ", "--url", "http://127.0.0.1:1")
    assert (code, said, told) == (1, "", "Error: An empty text has no vector.\n")


def test_named_server_that_is_not_there_is_said(run: Run) -> None:
    code, said, told = run("embed", "a river", "--url", "http://127.0.0.1:1")
    assert (code, said) == (1, "")
    assert told.startswith("Error: No server answers at http://127.0.0.1:1")
