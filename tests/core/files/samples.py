"""Files to be stored, and what is done with them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

from llm_api.core.files.files import OwnedFiles
from llm_api.core.state.file_records import FileRecord, NewFile


def new_file(
    name: str = "a.txt", *, created_at: float = 1.0, expires_at: float | None = None
) -> NewFile:
    return NewFile(f"file-{uuid4().hex}", name, "text/plain", "user_data", created_at, expires_at)


async def in_pieces(data: bytes, size: int = 1000) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def put(files: OwnedFiles, data: bytes, new: NewFile | None = None) -> FileRecord:
    return await files.create(new or new_file(), in_pieces(data))


async def read(files: OwnedFiles, file: FileRecord) -> bytes:
    async with aclosing(files.pieces(file)) as pieces:
        return b"".join([piece async for piece in pieces])
