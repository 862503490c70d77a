"""How a model comes from a model hub into the models folder: whole and verified, or not at all.

`huggingface_hub` knows the hub (routes, tokens, `HF_ENDPOINT`, retries, the progress bar). This
module does the rest, since its `hf_hub_download` throws an interrupted transfer away and knows
nothing of GGUF. One file goes through these states, all in one folder, under a lock that other
processes wait for:

    .NAME.ETAG.incomplete   what has arrived; a later pull goes on from here (HTTP Range)
    the same, whole         size, SHA-256 (if the hub tells one) and GGUF header are checked
    NAME                    after fsync and an atomic rename
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2
from filelock import FileLock
from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, though not to mypy
    get_session,
    hf_raise_for_status,
    validate_repo_id,
)

from llm_api.core.errors import (
    DownloadError,
    ModelFileError,
    NoDiskSpaceError,
    NotOnHubError,
    TransferEndedError,
)
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.files.hub_names import choose_file
from llm_api.core.llm.files.parts import part_names, read_model
from llm_api.core.utils.machine import format_bytes

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHA256_DIGITS = 64
_NAMES_SHOWN = 20
_LIST_SECONDS = 10.0
LISTING = "*"


def download_path(repo_id: str, filename: str, models_dir: Path) -> Path:
    """Where a file of a repository lies once it is here. Pure.

    Each repository has its own folder: `--` cannot occur in a repository's name.
    Raises DownloadError for a name that could lead out of `models_dir` or is no GGUF file's.
    """
    repository = PurePosixPath(repo_id.replace("/", "--"))
    relative = PurePosixPath(filename)
    if not filename.endswith(".gguf") or "\\" in filename or "\0" in filename:
        raise DownloadError(f"{filename!r} is no GGUF file; name a file that ends in .gguf.")
    if len(repository.parts) != 1 or relative.is_absolute() or ".." in (repo_id, *relative.parts):
        raise DownloadError(f"{repo_id!r} and {filename!r} do not name a file of a repository.")
    return models_dir / repository / relative


def pull_model(
    repo_id: str,
    filename: str,
    models_dir: Path,
    *,
    endpoint: str | None = None,
    on_found: Callable[[Sequence["RemoteFile"]], None] | None = None,
) -> Path:
    """Bring a model (all parts of a split one) into `models_dir`. Blocks, for as long as it takes.

    A sound file that is already here is not fetched again: then no request is made. Shows a
    progress bar on stderr if that is a terminal. `endpoint` None means the hub that the environment
    names. `on_found` is told what is going to be transferred. Raises DownloadError or
    ModelFileError with one sentence; what has arrived is kept for the next pull.
    """
    destination = download_path(repo_id, filename, models_dir)
    hub = Hub(repo_id, hub_endpoint(endpoint))
    with explained(hub, filename, destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.with_name(f".{destination.name}.lock")):
            places = {
                part: download_path(repo_id, part, models_dir) for part in part_names(filename)
            }
            missing = {part: place for part, place in places.items() if not _is_sound(place)}
            files = [hub.look_up(part, place) for part, place in missing.items()]
            require_space(files, destination.parent)
            if on_found is not None:
                on_found(files)
            for file in files:
                _fetch(file)
    read_model(destination)
    return destination


def find_model(
    repo_id: str, filename: str | None, quantisation: str | None, models_dir: Path
) -> "tuple[str, list[RemoteFile]]":
    """A model on the hub that the environment names: its file, and all files of it. Blocks.

    Without a `filename`, the one of that quantisation is meant (`hub_names`). Raises DownloadError.
    """
    hub = Hub(repo_id, hub_endpoint(None))
    with explained(hub, filename or LISTING, models_dir):
        if filename is None:
            filename = choose_file(repo_id, hub.known_files(), quantisation)
        names = part_names(filename)
        places = {part: download_path(repo_id, part, models_dir) for part in names}
        return filename, [hub.look_up(part, place) for part, place in places.items()]


def hub_endpoint(endpoint: str | None) -> str:
    """The address of the hub: this one, or that of the environment."""
    return (endpoint or constants.ENDPOINT).rstrip("/")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the hub describes it, and where it will lie."""

    label: str
    url: str
    etag: str
    size: int
    destination: Path

    @property
    def partial(self) -> Path:
        """Named after the content, so that a changed file is never glued to an old beginning."""
        content = hashlib.sha256(f"{self.etag} {self.size}".encode()).hexdigest()[:16]
        return self.destination.with_name(f".{self.destination.name}.{content}.incomplete")

    @property
    def sha256(self) -> str | None:
        """Large files have their SHA-256 as ETag, small ones a Git hash."""
        return self.etag if len(self.etag) == _SHA256_DIGITS else None

    def arrived(self) -> int:
        """Bytes already here."""
        return self.partial.stat().st_size if self.partial.exists() else 0


@dataclass(frozen=True, slots=True)
class Hub:
    """One repository of a hub. `endpoint` has no slash at its end."""

    repo_id: str
    endpoint: str

    def look_up(self, filename: str, destination: Path) -> RemoteFile:
        """Ask the hub for the file's identity and size."""
        url = hf_hub_url(self.repo_id, filename, endpoint=self.endpoint)
        metadata = get_hf_file_metadata(url, endpoint=self.endpoint, library_name="llm_api")
        if metadata.etag is None or metadata.size is None or metadata.commit_hash is None:
            raise DownloadError(self.no_hub())
        if metadata.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            raise DownloadError(
                f"{filename} has {format_bytes(metadata.size)}, more than the hub sends over plain "
                f"HTTP; fetch it with `hf download {self.repo_id} {filename}` and set MODEL_PATH."
            )
        return RemoteFile(
            label=f"{self.repo_id}/{filename}",
            url=hf_hub_url(
                self.repo_id, filename, revision=metadata.commit_hash, endpoint=self.endpoint
            ),
            etag=metadata.etag,
            size=metadata.size,
            destination=destination,
        )

    def gguf_files(self) -> list[str]:
        """The models in the repository; empty if the hub does not tell."""
        try:
            return self.known_files()
        except (HfHubHTTPError, httpx2.HTTPError):
            return []

    def known_files(self) -> list[str]:
        """The models in the repository. Raises what the hub's library does."""
        return sorted(name for name in self.sizes() if name.endswith(".gguf"))

    def sizes(self) -> dict[str, int]:
        """Bytes of each file in the repository. Raises what the hub's library does."""
        validate_repo_id(self.repo_id)
        tree = self.listed(f"/api/models/{self.repo_id}/tree/main", recursive="true")
        return {str(one["path"]): int(one["size"]) for one in tree if one.get("type") == "file"}

    def listed(self, path: str, **parameters: str | int) -> Iterator[dict[str, Any]]:
        """What the hub lists there, page by page. Asks once: a person waits for it.

        Raises DownloadError, and what the hub's library does.
        """
        url = f"{self.endpoint}{path}"
        asked = dict(parameters)
        while url:
            answer = get_session().get(
                url, params=asked or None, headers=_headers(), timeout=_LIST_SECONDS
            )
            hf_raise_for_status(answer)
            try:
                yield from answer.json()
            except ValueError as error:
                raise DownloadError(self.no_hub()) from error
            url, asked = answer.links.get("next", {}).get("url", ""), {}

    def no_hub(self) -> str:
        """That another kind of server answers there."""
        return f"{self.endpoint} does not answer like a model hub; check HF_ENDPOINT and proxies."


def _is_sound(path: Path) -> bool:
    try:
        read_gguf(path)
    except ModelFileError:
        return False
    return True


def require_space(files: Sequence[RemoteFile], folder: Path) -> None:
    """Raises NoDiskSpaceError where what is missing of these files would not fit there."""
    needed = sum(max(file.size - file.arrived(), 0) for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoDiskSpaceError(
            f"{format_bytes(needed)} are to be fetched; {folder} has {format_bytes(free)} free: "
            f"make room, or set MODELS_DIR to a folder on a larger disk."
        )


def _fetch(file: RemoteFile) -> None:
    """Transfer what is missing, check the whole, and give it its name."""
    partial = file.partial
    if file.arrived() > file.size:
        partial.unlink()
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as stream:
        http_get(
            file.url,
            stream,
            resume_size=stream.tell(),
            headers=_headers(),
            expected_size=file.size,
            displayed_filename=file.destination.name,
        )
        stream.flush()
        os.fsync(stream.fileno())
    try:
        _verify(file)
    except (DownloadError, ModelFileError):
        partial.unlink()
        raise
    partial.replace(file.destination)
    _sync_folder(file.destination.parent)
    for stale in partial.parent.glob(f".{escape(file.destination.name)}.*.incomplete"):
        stale.unlink(missing_ok=True)


def _headers() -> dict[str, str]:
    # Any other encoding would make sizes and ranges those of compressed bytes.
    headers = {"User-Agent": "llm_api", "Accept-Encoding": "identity"}
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return headers | {"Authorization": f"Bearer {token}"} if token else headers


def _verify(file: RemoteFile) -> None:
    if file.sha256 is not None:
        with file.partial.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != file.sha256:
            raise DownloadError(
                f"{file.label} arrived damaged (its SHA-256 is not the hub's) and was removed; "
                f"pull it again."
            )
    read_gguf(file.partial, called=file.label)


def _sync_folder(folder: Path) -> None:
    """Make the rename outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(hub: Hub, filename: str, folder: Path) -> Iterator[None]:
    """Turn what the hub, the network or the disk did into one sentence of ours.

    The filename is LISTING where nothing is to be fetched yet.
    """
    label = hub.repo_id if filename == LISTING else f"{hub.repo_id}/{filename}"
    try:
        yield
    except HFValidationError as error:
        raise DownloadError(
            f"{hub.repo_id!r} is no repository id; write it as owner/name."
        ) from error
    except GatedRepoError as error:
        raise DownloadError(
            f"The repository {hub.repo_id} is gated: accept its terms at "
            f"{hub.endpoint}/{hub.repo_id} and set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise NotOnHubError(
            f"{hub.endpoint} has no repository {hub.repo_id}, or it is private (then set HF_TOKEN)."
        ) from error
    except RemoteEntryNotFoundError as error:
        raise NotOnHubError(_no_such_file(hub, filename)) from error
    except HfHubHTTPError as error:
        raise _refused(hub, label, error.response.status_code) from error
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        kind = DownloadError if isinstance(error, OfflineModeIsEnabled) else TransferEndedError
        if filename == LISTING:
            raise kind(
                f"{hub.endpoint} could not be asked for {label}: {_one_line(error)}; check the"
                " network; HF_ENDPOINT names another hub."
            ) from error
        raise kind(
            f"{label} could not be fetched from {hub.endpoint}: {_one_line(error)}; check the "
            f"network and pull again (what arrived is kept), or set MODEL_PATH to a local file."
        ) from error
    except OSError as error:
        raise _not_stored(label, folder, error) from error


def _no_such_file(hub: Hub, filename: str) -> str:
    names = hub.gguf_files()
    if not names:
        return f"The repository {hub.repo_id} has no file {filename}, and no other GGUF file."
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"The repository {hub.repo_id} has no file {filename}; it has {shown}{more}."


def _refused(hub: Hub, label: str, status: int) -> DownloadError:
    if status in (401, 403):
        return DownloadError(
            f"{hub.endpoint} refused {label} ({status}); set HF_TOKEN to one that may read it."
        )
    return TransferEndedError(
        f"{hub.endpoint} answered {status} for {label}; pull it again later, it will be resumed."
    )


def _not_stored(label: str, folder: Path, error: OSError) -> DownloadError:
    if error.errno in _DISK_IS_FULL:
        return NoDiskSpaceError(
            f"The disk is full: {label} does not fit in {folder}; make room and pull it again."
        )
    if error.errno is None:
        return TransferEndedError(
            f"The transfer of {label} ended early; pull it again, it will be resumed."
        )
    return DownloadError(f"{label} could not be stored in {folder}: {error.strerror}.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
