from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_api.core.embeddings.model_files import pull_repository, wanted_files
from llm_api.core.errors import DownloadError
from tests.core.llm.hub_stand_in import COMMIT, Hub, running_hub

REPO = "owner/model"
FILES = {
    "config.json": b"{}",
    "1_Pooling/config.json": b'{"a": 1}',
    "custom_st.py": b"import torch",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"the same weights",
    "onnx/model.onnx": b"once more",
    "onnx/config.json": b"{}",
    "model.gguf": b"and again",
}
WANTED = ["config.json", "1_Pooling/config.json", "custom_st.py", "model.safetensors"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        hub.files |= {(REPO, name): data for name, data in FILES.items()}
        yield hub


def pull(hub: Hub, folder: Path, repo: str = REPO, revision: str | None = COMMIT) -> Path:
    return pull_repository(repo, revision, folder, endpoint=hub.endpoint)


def test_what_the_model_needs_arrives_from_the_pinned_commit(hub: Hub, tmp_path: Path) -> None:
    folder = pull(hub, tmp_path)
    assert folder == tmp_path / "owner--model" / COMMIT
    assert {name: (folder / name).read_bytes() for name in WANTED} == {
        name: FILES[name] for name in WANTED
    }
    assert hub.transfers == len(WANTED)
    assert all(f"/resolve/{COMMIT}/" in line for line in hub.requests if "/resolve/" in line)


def test_the_newest_commit_is_looked_up_once(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path, revision=None)
    assert all(f"/resolve/{COMMIT}/" in line for line in hub.requests if "/resolve/" in line)
    hub.requests.clear()
    assert pull(hub, tmp_path, revision=None) == tmp_path / "owner--model" / "main"
    assert hub.requests == []


def test_what_was_interrupted_is_not_taken_for_the_whole(hub: Hub, tmp_path: Path) -> None:
    hub.faults.fail_storage_after = 2
    with pytest.raises(DownloadError, match="answered 503"):
        pull(hub, tmp_path)
    hub.faults.fail_storage_after = None
    folder = pull(hub, tmp_path)
    assert all((folder / name).exists() for name in WANTED)


@pytest.mark.parametrize(
    ("repo", "revision", "words"),
    [
        ("owner/other", None, "has no repository owner/other"),
        (REPO, "f" * 40, f"{REPO} has no commit {'f' * 40}."),
        ("a/b/c", None, "is no repository id"),
    ],
)
def test_what_is_not_there_is_named(
    hub: Hub, tmp_path: Path, repo: str, revision: str | None, words: str
) -> None:
    with pytest.raises(DownloadError, match=words):
        pull(hub, tmp_path, repo, revision)


def test_weights_of_an_older_format_are_taken_where_there_are_no_others() -> None:
    assert wanted_files(["config.json", "pytorch_model.bin", "README.md"]) == [
        "config.json",
        "pytorch_model.bin",
    ]
