from pathlib import Path

from llm_api.core.llm.files.installed import DEFAULT_MODEL_FILENAME
from tests.cli.command import llm_api
from tests.core.llm.hub_stand_in import running_hub
from tests.core.llm.tiny_gguf import gguf_bytes, write_gguf


def line_of(name: str, listing: str) -> str:
    (line,) = [line for line in listing.splitlines() if name in line]
    return line


def test_the_list_tells_sizes_and_marks_the_model_in_use(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "models" / "mine.gguf")
    listing = llm_api(tmp_path, "models", "list").stdout
    default = line_of(DEFAULT_MODEL_FILENAME, listing)
    assert default.startswith("→")
    assert all(cell in default for cell in ("98 MB", "Q4_1", "135M", "8192"))
    assert not line_of("mine.gguf", listing).startswith("→")

    listing = llm_api(tmp_path, "models", "list", MODEL_PATH=str(path)).stdout
    assert line_of("mine.gguf", listing).startswith("→")


def test_the_list_marks_every_model_of_a_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "models" / "mine.gguf")
    write_gguf(tmp_path / "models" / "other.gguf")
    (tmp_path / "models.yaml").write_text(
        "models: {a: {default: true}, b: {path: models/mine.gguf}, c: {path: absent.gguf}}"
    )
    done = llm_api(tmp_path, "models", "list", "--config", "models.yaml")
    assert line_of(DEFAULT_MODEL_FILENAME, done.stdout).startswith("→")
    assert line_of("mine.gguf", done.stdout).startswith("→")
    assert not line_of("other.gguf", done.stdout).startswith("→")
    assert "absent.gguf" in done.stderr


def test_the_list_says_what_is_wrong_with_a_broken_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "models" / "cut.gguf", gguf_bytes()[:-1])
    done = llm_api(tmp_path, "models", "list")
    assert done.returncode == 0
    line = line_of("cut.gguf", done.stdout)
    assert "broken" in line
    assert "truncated" in line


def test_the_list_says_that_the_chosen_model_is_not_here_yet(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "models", "list", MODEL_REPO_ID="o/r", MODEL_FILENAME="m.gguf")
    assert "→" not in done.stdout
    assert "models/o--r/m.gguf" in done.stderr


def test_a_name_in_a_model_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    write_gguf(tmp_path / "models" / "evil\x1b[2J[red].gguf")
    listing = llm_api(tmp_path, "models", "list").stdout
    assert "\x1b" not in listing
    assert "evil[2J[red].gguf" in listing


def test_a_pulled_model_is_listed_and_can_be_removed(tmp_path: Path) -> None:
    with running_hub() as hub:
        hub.files["owner/name", "m.gguf"] = gguf_bytes()
        pulled = llm_api(
            tmp_path, "models", "pull", "owner/name", "m.gguf", HF_ENDPOINT=hub.endpoint
        )
    assert pulled.returncode == 0
    assert (tmp_path / pulled.stdout.strip()).read_bytes() == gguf_bytes()
    assert "owner--name/m.gguf" in llm_api(tmp_path, "models", "list").stdout

    removed = llm_api(tmp_path, "models", "remove", "owner--name/m.gguf")
    assert removed.stdout == "Removed models/owner--name/m.gguf\n"
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_that_the_repository_lacks_ends_in_one_line(tmp_path: Path) -> None:
    with running_hub() as hub:
        hub.files["owner/name", "m.gguf"] = gguf_bytes()
        done = llm_api(tmp_path, "models", "pull", "owner/name", "x.gguf", HF_ENDPOINT=hub.endpoint)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("Error: The repository owner/name has no file x.gguf; it has m.gguf.\n")


def test_nothing_outside_the_models_folder_is_removed(tmp_path: Path) -> None:
    outside = write_gguf(tmp_path / "outside.gguf")
    done = llm_api(tmp_path, "models", "remove", "../outside.gguf")
    assert done.returncode == 1
    assert outside.exists()


def test_a_model_elsewhere_is_no_file_in_use(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "models", "list", LLM_BACKEND="ollama")
    assert "→" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_model_elsewhere_cannot_be_optimized(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "models", "optimize", LLM_BACKEND="stub")
    assert done.returncode == 2
    assert "The chosen models run elsewhere; name a GGUF file." in done.stderr
