"""A model is found on the hub, and pulled from it, in a process that can be ended at once.

A thread that waits for a slow hub cannot be stopped, and would hold up the end of the server. How
far a pull is, its files tell: it writes into the one that this process looks at.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, Final

from llm_api.core import errors
from llm_api.core.errors import LLMAPIError, TransferEndedError, without_folders
from llm_api.core.llm.files.hub_names import HubName
from llm_api.core.utils.child_process import ChildProcess, start_child
from llm_api.core.utils.isolation import isolated_command, same_environment

_WORKER: Final = "llm_api.core.llm.files.pull_worker"
_MAX_LINE: Final = 1024 * 1024
FIND_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model on the hub. `digest` is what the hub knows it by; sizes are in bytes.

    It arrives under the name `partial`, and gets that of `destination` when it is whole.
    """

    label: str
    digest: str
    size: int
    partial: Path
    destination: Path

    def arrived(self) -> int:
        """Bytes that are here now. Looks at the disk."""
        for file in (self.partial, self.destination):
            with suppress(OSError):
                return min(file.stat().st_size, self.size)
        return 0


async def find_on_hub(name: HubName, models_dir: Path) -> tuple[str, Sequence[ModelFile]]:
    """The file that is meant, and all files of the model, for which there is room on the disk.

    Raises NotOnHubError, NoDiskSpaceError, TransferEndedError, or another DownloadError.
    """
    found: list[ModelFile] = []
    try:
        async with (
            asyncio.timeout(FIND_SECONDS),
            _worker(name.repo_id, name.filename, name.quantisation, models_dir, "find") as worker,
        ):
            return await _outcome(worker, found.extend), found
    except TimeoutError:
        raise TransferEndedError("The hub does not answer in time; try again later.") from None


async def pull(
    repo_id: str,
    filename: str,
    models_dir: Path,
    on_found: Callable[[Sequence[ModelFile]], None],
) -> Path:
    """Bring a model into the folder, as `pull_model` does. Cancelled, what has arrived stays.

    Raises DownloadError, ModelFileError.
    """
    async with _worker(repo_id, filename, None, models_dir, "pull") as worker:
        return Path(await _outcome(worker, on_found))


@asynccontextmanager
async def _worker(
    repo_id: str, filename: str | None, quantisation: str | None, folder: Path, what: str
) -> AsyncGenerator[ChildProcess, None]:
    arguments = (repo_id, filename or "", quantisation or "", str(folder), what)
    # The environment says where the hub is, and holds its token.
    worker = await start_child(
        *isolated_command(_WORKER, *arguments),
        stderr=DEVNULL,
        env=same_environment(),
        limit=_MAX_LINE,
    )
    try:
        yield worker
    finally:
        await worker.end()


async def _outcome(worker: ChildProcess, on_found: Callable[[Sequence[ModelFile]], None]) -> str:
    """What the process says at its end."""
    while line := await worker.stdout.readline():
        said: dict[str, Any] = json.loads(line)
        if "found" in said:
            on_found([_file(*one) for one in said["found"]])
        elif "error" in said:
            kind, message = said["error"]
            raise _error(kind, message)
        else:
            return str(said["done"])
    raise TransferEndedError("The process that fetched the model was ended; pull it again.")


def _file(label: str, digest: str, size: int, partial: str, destination: str) -> ModelFile:
    return ModelFile(label, digest, size, Path(partial), Path(destination))


def _error(kind: str, message: str) -> LLMAPIError:
    known: type[LLMAPIError] = getattr(errors, kind)
    return known(without_folders(message))
