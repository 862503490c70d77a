"""A sentence-transformers model from the model hub: all its files of one commit, or none.

Everything is fetched before the model is loaded, and loaded from that folder. So code of the
model's own cannot fetch weights of another commit, and no later start needs the network.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from llm_api.core.errors import DownloadError
from llm_api.core.llm.files.download import Hub, explained, hub_endpoint

_COMPLETE = ".complete"
_KINDS = {".json", ".txt", ".py", ".model", ".safetensors", ".jinja"}
_OTHER_ENGINES = {"onnx", "openvino"}


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
