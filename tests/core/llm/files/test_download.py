import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_api.core.errors import DownloadError, LLMAPIError, ModelFileError
from llm_api.core.llm.files.download import download_path, pull_model
from llm_api.core.llm.files.gguf import read_gguf
from tests.core.llm.hub_stand_in import TOKEN, Faults, Hub, running_hub
from tests.core.llm.tiny_gguf import (
    FIRST_OF_TWO,
    SECOND_OF_TWO,
    Tensor,
    gguf_bytes,
    large_gguf_bytes,
)

REPO, FILE = "owner/model-GGUF", "model.Q4_K_M.gguf"
# The library hands on what has arrived in pieces of 10 MiB.
LARGE = large_gguf_bytes(24)
PIECE = 10 * 1024 * 1024
CUT = 15_000_000

PULL = """
import sys
from pathlib import Path
from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.files.download import pull_model
try:
    print(pull_model(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
except LLMAPIError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        hub.files[REPO, FILE] = gguf_bytes()
        yield hub


def pull(hub: Hub, folder: Path, repo: str = REPO, file: str = FILE) -> Path:
    return pull_model(repo, file, folder, endpoint=hub.endpoint)


def refused(hub: Hub, folder: Path, repo: str = REPO, file: str = FILE) -> LLMAPIError:
    """The error of a pull, which must be one sentence and leave nothing under the final name."""
    with pytest.raises((DownloadError, ModelFileError)) as caught:
        pull(hub, folder, repo, file)
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    assert [path for path in folder.rglob("*.gguf") if path.name[0] != "."] == []
    return caught.value


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.incomplete"))


def in_process(hub: Hub, folder: Path, prelude: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", prelude + PULL, REPO, FILE, str(folder)],
        env=os.environ | {"HF_ENDPOINT": hub.endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_model_arrives_whole_in_the_folder_of_its_repository(hub: Hub, tmp_path: Path) -> None:
    path = pull(hub, tmp_path)
    assert path == tmp_path / "owner--model-GGUF" / FILE
    assert path.read_bytes() == hub.files[REPO, FILE]
    assert leftovers(tmp_path) == []


def test_a_second_pull_makes_no_request(hub: Hub, tmp_path: Path) -> None:
    path = pull(hub, tmp_path)
    hub.requests.clear()
    assert pull(hub, tmp_path) == path
    assert hub.requests == []


def test_two_pulls_at_once_transfer_the_file_once(hub: Hub, tmp_path: Path) -> None:
    hub.faults.seconds_per_chunk = 0.3
    with ThreadPoolExecutor() as threads:
        paths = list(threads.map(lambda _: pull(hub, tmp_path), range(2)))
    assert paths[0] == paths[1]
    assert hub.transfers == 1


def test_a_broken_file_under_the_final_name_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    path = pull(hub, tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert pull(hub, tmp_path).read_bytes() == hub.files[REPO, FILE]
    assert hub.transfers == 2


def test_an_interrupted_pull_is_resumed_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults = Faults(cut_after=CUT, fail_storage_after=1)
    assert "503" in refused(hub, tmp_path).message
    assert [path.stat().st_size for path in leftovers(tmp_path)] == [PIECE]

    hub.faults = Faults()
    assert pull(hub, tmp_path).read_bytes() == LARGE
    assert hub.ranges[0] is None
    assert hub.ranges[-1] == f"bytes={PIECE}-"
    assert hub.body_bytes_sent == CUT + len(LARGE) - PIECE
    assert leftovers(tmp_path) == []


def test_a_connection_lost_in_mid_transfer_is_taken_up_within_the_same_pull(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.cut_after = CUT
    assert pull(hub, tmp_path).read_bytes() == LARGE
    assert hub.ranges == [None, f"bytes={PIECE}-"]


def test_a_killed_pull_is_resumed_by_the_next_process(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.seconds_per_chunk = 0.02
    first = in_process(hub, tmp_path)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in leftovers(tmp_path)) < PIECE:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not (tmp_path / "owner--model-GGUF" / FILE).exists()

    hub.faults = Faults()
    second = in_process(hub, tmp_path)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, "")  # no bar where stderr is no terminal
    assert Path(out.strip()).read_bytes() == LARGE
    assert hub.ranges == [None, f"bytes={PIECE}-"]


def test_a_storage_that_ignores_ranges_is_read_from_the_start(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults = Faults(cut_after=CUT, fail_storage_after=1)
    refused(hub, tmp_path)
    hub.faults = Faults(ignores_ranges=True)
    assert pull(hub, tmp_path).read_bytes() == LARGE


def test_a_file_that_changed_on_the_hub_is_not_glued_to_an_old_beginning(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults = Faults(cut_after=CUT, fail_storage_after=1)
    refused(hub, tmp_path)
    hub.faults = Faults()
    hub.files[REPO, FILE] = changed = large_gguf_bytes(23)
    assert pull(hub, tmp_path).read_bytes() == changed
    assert hub.ranges[-1] is None
    assert leftovers(tmp_path) == []


def test_a_corrupted_transfer_is_refused_and_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.faults.corrupted = True
    assert "SHA-256" in refused(hub, tmp_path).message
    assert leftovers(tmp_path) == []
    hub.faults = Faults()
    assert pull(hub, tmp_path).read_bytes() == hub.files[REPO, FILE]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"<html>not a model</html>", "is no GGUF file"), (gguf_bytes()[:-1], "is truncated")],
)
def test_a_file_that_is_no_whole_model_on_the_hub_itself_is_refused(
    hub: Hub, tmp_path: Path, data: bytes, reason: str
) -> None:
    hub.files[REPO, FILE] = data
    error = refused(hub, tmp_path)
    assert isinstance(error, ModelFileError)
    assert error.message.startswith(f"{REPO}/{FILE} {reason}")
    assert leftovers(tmp_path) == []


def test_an_unknown_repository_is_named(hub: Hub, tmp_path: Path) -> None:
    message = refused(hub, tmp_path, repo="owner/nothing").message
    assert "has no repository owner/nothing" in message
    assert "HF_TOKEN" in message


def test_an_unknown_file_is_answered_with_the_models_that_are_there(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files[REPO, "README.md"] = b"#"
    assert refused(hub, tmp_path, file="other.gguf").message == (
        f"The repository {REPO} has no file other.gguf; it has {FILE}."
    )


def test_a_gated_repository_says_where_its_terms_are(hub: Hub, tmp_path: Path) -> None:
    hub.faults.gated = True
    message = refused(hub, tmp_path).message
    assert f"accept its terms at {hub.endpoint}/{REPO}" in message


def test_a_token_from_the_environment_opens_a_gated_repository(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults.gated = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert pull(hub, tmp_path).exists()


@pytest.mark.parametrize(("status", "word"), [(500, "500"), (401, "HF_TOKEN"), (403, "HF_TOKEN")])
def test_a_hub_that_answers_with_an_error_is_quoted(
    hub: Hub, tmp_path: Path, status: int, word: str
) -> None:
    hub.faults.status = status
    assert word in refused(hub, tmp_path).message


def test_without_a_network_the_endpoint_is_named(tmp_path: Path) -> None:
    with running_hub() as stopped:
        pass
    message = refused(stopped, tmp_path).message
    assert f"could not be fetched from {stopped.endpoint}" in message
    assert "MODEL_PATH" in message


def test_a_model_larger_than_the_disk_is_refused_before_the_transfer(
    hub: Hub, tmp_path: Path
) -> None:
    hub.faults.claimed_size = 49 * 10**9
    # As many parts as no disk here can hold.
    count = shutil.disk_usage(tmp_path).free // hub.faults.claimed_size + 2
    names = [f"m-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    hub.files |= {(REPO, name): gguf_bytes() for name in names}
    message = refused(hub, tmp_path, file=names[0]).message
    assert "are to be fetched" in message
    assert "make room" in message
    assert hub.transfers == 0


def test_a_file_too_large_for_plain_http_is_refused_with_the_way_out(
    hub: Hub, tmp_path: Path
) -> None:
    hub.faults.claimed_size = 51 * 10**9
    assert f"hf download {REPO} {FILE}" in refused(hub, tmp_path).message


def test_a_write_that_finds_no_room_says_that_the_disk_is_full(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (12_000_000, 12_000_000))\n"
    process = in_process(hub, tmp_path, prelude=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("NoDiskSpaceError: The disk is full")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "owner--model-GGUF" / FILE).exists()


def test_a_models_folder_that_cannot_be_made_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(DownloadError, match=r"could not be stored in .*models"):
        pull(hub, tmp_path / "models")


def test_a_split_model_is_fetched_whole(hub: Hub, tmp_path: Path) -> None:
    names = ["q4/m-00001-of-00002.gguf", "q4/m-00002-of-00002.gguf"]
    hub.files[REPO, names[0]] = gguf_bytes(FIRST_OF_TWO, [])
    hub.files[REPO, names[1]] = gguf_bytes(SECOND_OF_TWO, [Tensor()])
    first = pull(hub, tmp_path, file=names[0])
    assert first == tmp_path / "owner--model-GGUF" / names[0]
    assert read_gguf(first.with_name("m-00002-of-00002.gguf")).parameter_count == 128

    first.with_name("m-00002-of-00002.gguf").unlink()
    pull(hub, tmp_path, file=names[0])
    assert hub.transfers == 3


@pytest.mark.parametrize(
    ("repo", "file"),
    [
        ("owner/name", "../escape.gguf"),
        ("owner/name", "/etc/escape.gguf"),
        ("owner/name", "a\\b.gguf"),
        ("owner/name", "model.bin"),
        ("..", "model.gguf"),
        ("", "model.gguf"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(repo: str, file: str) -> None:
    with pytest.raises(DownloadError):
        download_path(repo, file, Path("models"))


@pytest.mark.parametrize("repo", ["a/b/c", "bad--name", "with space/x"])
def test_what_is_no_repository_id_is_refused(hub: Hub, tmp_path: Path, repo: str) -> None:
    assert "owner/name" in refused(hub, tmp_path, repo=repo).message
    assert hub.requests == []
