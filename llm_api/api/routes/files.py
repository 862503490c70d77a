"""Files that are kept as they are: `/v1/files`."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import uuid4

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.files import known_purpose, to_list, to_new_file, to_wire
from llm_api.api.models.files import DeletedFile, FileList, FileObject
from llm_api.api.uploads import one_file, pieces_of
from llm_api.core.state.file_records import FileRecord
from llm_api.core.state.records import Order, PageRequest
from llm_api.core.vector_stores.store_files import StoreFiles

router = APIRouter(prefix="/v1", tags=["Files"], responses=ERROR_RESPONSES)

MAX_PAGE: Final = 10_000

FileId = Annotated[str, Path(max_length=256)]
_FIELDS: Final = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {
                            "type": "string",
                            "enum": [
                                "assistants",
                                "batch",
                                "fine-tune",
                                "vision",
                                "user_data",
                                "evals",
                            ],
                        },
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": 3600,
                            "maximum": 2_592_000,
                        },
                    },
                }
            }
        },
    }
}


@router.post("/files", summary="Store a file", openapi_extra=_FORM)
async def create_file(request: Request, services: Services) -> FileObject:
    """As it is, for whatever it is meant. Only this key can read it."""
    files = services.files()  # before a form is open, which would have to be closed
    async with one_file(request, "file", _FIELDS) as (upload, fields):
        new = to_new_file(
            f"file-{uuid4().hex}", fields, upload.filename or "", upload.content_type, time.time()
        )
        return to_wire(await files.create(new, pieces_of(upload)))


@router.get("/files", summary="List files", response_model=FileList)
async def list_files(
    services: Services,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
    order: Order = "desc",
    after: Annotated[
        str | None, Query(max_length=256, description="The id of the file before.")
    ] = None,
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """By default the newest first."""
    chosen = None if purpose is None else known_purpose(purpose)
    page = await services.files().list(PageRequest(limit, order, after), chosen)
    # In a thread: 10,000 files take a tenth of a second.
    text = await asyncio.to_thread(lambda: to_list(page).to_json())
    return Response(text, media_type="application/json")


@router.get("/files/{file_id}", summary="Describe a file")
async def retrieve_file(file_id: FileId, services: Services) -> FileObject:
    """Without its bytes."""
    return to_wire(await services.files().get(file_id))


@router.get(
    "/files/{file_id}/content",
    summary="Read a file",
    response_class=Response,
    responses={
        200: {
            "description": "The very bytes, to be saved and not shown.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def retrieve_content(file_id: FileId, services: Services) -> Response:
    """Streamed, with the type that it was stored with."""
    files = services.files()
    file = await files.get(file_id)
    pieces = files.pieces(file)
    try:
        first = await anext(pieces)  # where they are gone, before the answer begins
    except BaseException:
        await pieces.aclose()
        raise
    return FileContent(file, first, pieces)


@router.delete("/files/{file_id}", summary="Delete a file")
async def delete_file(file_id: FileId, services: Services) -> DeletedFile:
    """With its bytes, unless another file has the same, and out of every vector store."""
    files = services.files()
    await files.get(file_id)
    if services.has_documents:
        await StoreFiles(services.vector_stores()).forget_file(file_id)
    await files.delete(file_id)
    return DeletedFile(id=file_id, object="file", deleted=True)


class FileContent(StreamingResponse):
    """The bytes of a file, as a stranger gave them: a browser saves them, and runs nothing."""

    def __init__(self, file: FileRecord, first: bytes, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            _with_first(first, pieces),
            headers={
                "Content-Type": file.content_type,
                "Content-Length": str(file.bytes),
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, '')}",
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, no-store",
            },
        )
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; whatever ends that, the file is closed."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._pieces.aclose()


async def _with_first(
    first: bytes, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
