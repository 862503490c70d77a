"""A collection of a running server, over its own API."""

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from llm_api.cli.files import FoundFile
from llm_api.cli.remote_server import checked_url, key_headers, message_of, refusal
from llm_api.core.errors import GenerationError, UnavailableError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome
from llm_api.core.upstream import LOOPBACK

TOGETHER_BYTES = 2_000_000
TOGETHER_FILES = 32
"""What goes in one request: stored in a few seconds, so that the bar moves."""

_TIMEOUT = httpx2.Timeout(10, read=600)


@dataclass(frozen=True, slots=True)
class ServerLibrary:
    """Stores through the server behind `client`."""

    client: httpx2.AsyncClient
    collection: str

    async def sync(
        self, listing: SourceListing, deletion: Deletion | None, *, retries_failed: bool
    ) -> SyncOutcome:
        body: dict[str, object] = {
            "collection": listing.collection,
            "source": listing.source,
            "root": listing.root,
            "files": [{"path": id, "sha256": digest} for id, digest in listing.files.items()],
            "is_complete": listing.is_complete,
            "delete": deletion is not None,
            "retry_failed": retries_failed,
            "after": listing.after,
            "through": listing.through,
        }
        if deletion is not None:
            body |= {"max_deleted_share": deletion.max_share, "confirm": deletion.is_confirmed}
        said = _answer(await self._send("POST", "/v1/rag/sync", json=body))
        return SyncOutcome(
            tuple(said["new"]),
            tuple(said["changed"]),
            tuple(said["running"]),
            {one["path"]: one["error"] for one in said["failed"]},
            tuple(said["gone"]),
            unchanged=said["unchanged"],
            deleted=said["deleted"],
        )

    async def store(self, files: Sequence[FoundFile], report: Report) -> None:
        for together in _parts(files):
            await self._store(together, report)

    async def _store(self, files: Sequence[FoundFile], report: Report) -> None:
        form = [("files", (file.id, file.read())) for file in files]
        metadata = json.dumps(files[0].metadata)
        fields = {"collection": self.collection, "metadata": metadata, "background": "false"}
        response = await self._send("POST", "/v1/rag/files", data=fields, files=form)
        if response.status_code == httpx2.codes.BAD_REQUEST and len(files) > 1:
            for file in files:  # one by one, to find out what is wrong with each
                await self._store([file], report)
            return
        if response.status_code == httpx2.codes.BAD_REQUEST:
            reason = message_of(response).removeprefix(f"{files[0].id}: ")
            report(DocumentOutcome(files[0].id, "failed", reason=reason))
            return
        for one in _answer(response)["documents"]:
            reason = str(one.get("error", ""))
            warnings = tuple(map(str, one.get("warnings", ())))
            report(DocumentOutcome(one["id"], one["status"], one["chunks"], reason, warnings))

    async def report(self, stale_days: float) -> dict[str, Any]:
        """What the server tells of the collection, as it does."""
        path = f"/v1/rag/collections/{quote(self.collection, safe='')}/report"
        return _answer(await self._send("GET", path, params={"stale_days": str(stale_days)}))

    async def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return await self.client.request(method, path, **options)
        except httpx2.ConnectError as error:
            raise UnavailableError(
                f"No server answers at {self.client.base_url}; start one with `llm-api serve`, or"
                " ingest without one: `llm-api ingest --local`."
            ) from error
        except httpx2.HTTPError as error:
            raise GenerationError(
                f"The connection to {self.client.base_url} failed:"
                f" {str(error) or type(error).__name__}."
            ) from error


@asynccontextmanager
async def server_library(
    url: str, api_key: str | None, collection: str
) -> AsyncGenerator[ServerLibrary, None]:
    """Raises InvalidRequestError for what is no URL."""
    base = checked_url(url)
    async with httpx2.AsyncClient(
        base_url=base,
        headers=key_headers(api_key),
        timeout=_TIMEOUT,
        trust_env=base.host not in LOOPBACK,
    ) as client:
        yield ServerLibrary(client, collection)


def _parts(files: Sequence[FoundFile]) -> Iterator[list[FoundFile]]:
    """What goes in one request: files of one source, whose metadata is the same."""
    part: list[FoundFile] = []
    size = 0
    for file in files:
        length = file.size
        is_full = len(part) == TOGETHER_FILES or size + length > TOGETHER_BYTES
        if part and (is_full or part[0].root != file.root):
            yield part
            part, size = [], 0
        part.append(file)
        size += length
    if part:
        yield part


def _answer(response: httpx2.Response) -> dict[str, Any]:
    if response.is_success:
        answer: dict[str, Any] = response.json()
        return answer
    raise refusal(response)
