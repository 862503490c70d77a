"""A collection of a running server, over its own API."""

import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from llm_api.cli.rag.files import FoundFile
from llm_api.cli.remote_server import ServerAPI, answer_of, message_of, open_server
from llm_api.config.settings import Settings
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome

FIRST_BYTES: Final = 16_000
TOGETHER_BYTES: Final = 2_000_000
TOGETHER_FILES: Final = 32
REQUEST_SECONDS: Final = 4.0
_ABOUT_A_FILE: Final = (HTTPStatus.BAD_REQUEST, 413)
"""Of these a file may be the reason: what cannot be read, or is too large for the server."""


@dataclass(frozen=True, slots=True)
class ServerLibrary:
    """Stores through the API of a server."""

    api: ServerAPI
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
        said = await self.api.post("/v1/rag/sync", body)
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
        """In requests that take a few seconds each, so that the bar moves: the first is small."""
        left, most = deque(files), FIRST_BYTES
        while left:
            together = _together(left, most)
            began = time.monotonic()
            await self._store(together, report)
            taken = max(time.monotonic() - began, 0.001)
            most = int(most * min(4.0, max(0.25, REQUEST_SECONDS / taken)))
            most = min(TOGETHER_BYTES, max(FIRST_BYTES, most))

    async def _store(self, files: Sequence[FoundFile], report: Report) -> None:
        form = [("files", (file.id, file.read())) for file in files]
        metadata = json.dumps(files[0].metadata)
        fields = {"collection": self.collection, "metadata": metadata, "background": "false"}
        response = await self.api.send("POST", "/v1/rag/files", data=fields, files=form)
        is_about_a_file = response.status_code in _ABOUT_A_FILE
        if is_about_a_file and len(files) > 1:
            for file in files:  # one by one, to find out what is wrong with each
                await self._store([file], report)
            return
        if is_about_a_file:
            reason = message_of(response).removeprefix(f"{files[0].id}: ")
            report(DocumentOutcome(files[0].id, "failed", reason=reason))
            return
        for one in answer_of(response)["documents"]:
            reason = str(one.get("error", ""))
            warnings = tuple(map(str, one.get("warnings", ())))
            report(DocumentOutcome(one["id"], one["status"], one["chunks"], reason, warnings))


@asynccontextmanager
async def server_library(
    settings: Settings, url: str | None, api_key: str | None, collection: str
) -> AsyncGenerator[ServerLibrary, None]:
    """Raises InvalidRequestError for what is no URL."""
    instead = "ingest without one: `llm-api ingest --local`"
    async with open_server(settings, url, api_key, instead) as api:
        yield ServerLibrary(api, collection)


def _together(left: deque[FoundFile], most_bytes: int) -> list[FoundFile]:
    """Takes what goes in one request: files of one source, whose metadata is the same."""
    part = [left.popleft()]
    size = part[0].size
    while left and len(part) < TOGETHER_FILES and left[0].root == part[0].root:
        size += left[0].size
        if size > most_bytes:
            break
        part.append(left.popleft())
    return part
