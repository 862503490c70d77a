import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_api.core.llm.files.hub_search import OfferedFile, fitness, quantisation_of, sensible_file
from llm_api.core.llm.files.installed import DEFAULT_MODEL_FILENAME
from tests.cli.command import llm_api
from tests.cli.here import Run, run
from tests.core.llm.hub_stand_in import Hub, running_hub
from tests.core.llm.tiny_gguf import gguf_bytes, write_gguf

__all__ = ["run"]


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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two repositories; this process is in an empty folder, and asks that hub."""
    monkeypatch.chdir(tmp_path)
    with running_hub() as hub:
        for name in ("qwen-Q8_0", "qwen-Q4_K_M", "qwen-Q2_K"):
            hub.files["owner/Qwen3-4B-GGUF", f"{name}.gguf"] = gguf_bytes()
        hub.files["owner/Qwen3-4B-GGUF", "README.md"] = b"words"
        hub.files["other/Smol-GGUF", "smol.gguf"] = gguf_bytes()
        for module in ("download", "hub_search"):
            place = f"llm_api.core.llm.files.{module}.hub_endpoint"
            monkeypatch.setattr(place, lambda _: hub.endpoint)
        yield hub


def test_hub_is_searched_by_words(hub: Hub, run: Run) -> None:
    code, said, told = run("models", "search", "qwen3", "4b")
    assert code == 0
    assert said.splitlines()[1].split() == ["owner/Qwen3-4B-GGUF", "1000", "0"]
    assert told == "Fetch one: llm-api models pull owner/Qwen3-4B-GGUF\n"
    found = json.loads(run("models", "search", "gguf", "--json")[1])
    assert [one["id"] for one in found] == ["other/Smol-GGUF", "owner/Qwen3-4B-GGUF"]
    assert run("models", "search", "nothing")[2] == "The hub has no GGUF model of that name.\n"
    assert hub.transfers == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("owner/Qwen3-4B-GGUF", "qwen-Q4_K_M.gguf"),
        ("hf.co/owner/Qwen3-4B-GGUF:Q8_0", "qwen-Q8_0.gguf"),
        ("owner/Qwen3-4B-GGUF:q2_k", "qwen-Q2_K.gguf"),
        ("owner/Qwen3-4B-GGUF/qwen-Q8_0.gguf", "qwen-Q8_0.gguf"),
        ("https://huggingface.co/owner/Qwen3-4B-GGUF", "qwen-Q4_K_M.gguf"),
        (
            "https://huggingface.co/owner/Qwen3-4B-GGUF/resolve/main/qwen-Q2_K.gguf?download=true",
            "qwen-Q2_K.gguf",
        ),
        ("https://hf.co/owner/Qwen3-4B-GGUF/blob/main/qwen-Q8_0.gguf", "qwen-Q8_0.gguf"),
        ("qwen3 4b", "qwen-Q4_K_M.gguf"),
    ],
)
def test_model_is_named_in_many_ways(hub: Hub, run: Run, name: str, file: str) -> None:
    code, said, told = run("models", "pull", name, "--dry-run")
    assert (code, hub.transfers) == (0, 0), told
    assert said.startswith(f"owner/Qwen3-4B-GGUF/{file}: ")
    assert said.endswith(f"to fetch, to models/owner--Qwen3-4B-GGUF/{file}\n")


def test_files_are_listed_with_what_fits_and_the_usual_one_is_fetched(hub: Hub, run: Run) -> None:
    code, said, told = run("models", "pull", "owner/Qwen3-4B-GGUF")
    assert (code, said) == (0, "models/owner--Qwen3-4B-GGUF/qwen-Q4_K_M.gguf\n")
    assert sum(line.startswith("→ ") for line in told.splitlines()) == 1
    assert all(f"qwen-{one}.gguf" in told for one in ("Q8_0", "Q4_K_M", "Q2_K"))
    assert "fits" in told
    assert hub.transfers == 1
    assert run("models", "pull", "owner/Qwen3-4B-GGUF", "--dry-run")[1].endswith(
        "here already, to models/owner--Qwen3-4B-GGUF/qwen-Q4_K_M.gguf\n"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gguf", "Several are called so, name one: other/Smol-GGUF, owner/Qwen3-4B-GGUF."),
        ("absent", "The hub has no GGUF model of the name 'absent'."),
        ("https://example.com/owner/name", "example.com is not the hub"),
        ("owner/Qwen3-4B-GGUF:Q6_K", "has no one file of Q6_K"),
        ("no/where", "has no repository no/where"),
    ],
)
def test_name_that_means_no_one_model_ends_in_one_line(
    hub: Hub, run: Run, name: str, told: str
) -> None:
    code, said, complaint = run("models", "pull", name)
    assert (code, said, hub.transfers) == (1, "", 0)
    assert told in complaint
    assert len(complaint.splitlines()) == 1


def test_models_are_listed_and_shown_for_programs(tmp_path: Path, run: Run) -> None:
    name = DEFAULT_MODEL_FILENAME
    listed = json.loads(run("models", "list", "--json", "--url", "http://127.0.0.1:1")[1])
    (default,) = [one for one in listed if one["name"] == name]
    assert (default["chosen"], default["loaded"], default["quantisation"]) == (True, False, "Q4_1")
    shown = run("models", "show", name.removesuffix(".gguf"), "--url", "http://127.0.0.1:1")[1]
    assert "context_length: 8192" in shown.splitlines()
    assert run("models", "show", "absent")[0] == 1


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("a-Q4_K_M.gguf", "Q4_K_M"),
        ("a.q8_0.gguf", "Q8_0"),
        ("x/IQ4_XS/a-IQ4_XS-00001-of-00002.gguf", "IQ4_XS"),
        ("a-F16.gguf", "F16"),
        ("a.gguf", ""),
    ],
)
def test_quantisation_is_read_from_the_name(name: str, quantisation: str) -> None:
    assert quantisation_of(name) == quantisation


def test_sensible_file_is_the_usual_one_that_fits() -> None:
    files = [
        OfferedFile(f"a-{name}.gguf", name, size * 10**9)
        for name, size in (("Q2_K", 3), ("Q3_K_M", 4), ("Q4_K_M", 5), ("Q8_0", 9))
    ]
    assert sensible_file(files, 16 * 10**9).quantisation == "Q4_K_M"
    assert sensible_file(files, 5 * 10**9).quantisation == "Q3_K_M"
    assert sensible_file(files, 10**9).quantisation == "Q2_K"
    assert sensible_file([OfferedFile("x.gguf", "", 1)], 10**9).filename == "x.gguf"
    assert [fitness(size * 10**9, 8 * 10**9, 4 * 10**9) for size in (3, 5, 8)] == [
        "fits",
        "tight",
        "too large",
    ]
