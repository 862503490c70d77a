"""The files as the server holds them: their storage, and what removes bytes that nobody names."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from llm_api.core.errors import LLMAPIError
from llm_api.core.files.arriving import remove_abandoned
from llm_api.core.files.byte_storage import ByteStorage
from llm_api.core.files.files import FileService
from llm_api.core.files.folder_storage import FolderStorage
from llm_api.core.files.options import FileOptions
from llm_api.core.state.state import State

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 30.0


@asynccontextmanager
async def open_files(options: FileOptions, state: State) -> AsyncGenerator[FileService, None]:
    """The service, and inside the sweep of bytes. Opens nothing of the state by itself."""
    service = new_files(options, state)
    sweeping = asyncio.create_task(_sweep(service), name="files-sweep")
    try:
        yield service
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)


def new_files(options: FileOptions, state: State) -> FileService:
    """The service without its sweep."""
    return FileService(
        state,
        _storage(options),
        options.folder / "incoming",
        options.max_bytes,
        options.owner_max_bytes,
    )


def _storage(options: FileOptions) -> ByteStorage:
    if options.s3 is None:
        return FolderStorage(options.folder)
    from llm_api.core.files.s3_storage import S3Storage  # noqa: PLC0415 - an extra

    return S3Storage(options.s3)


async def _sweep(service: FileService) -> None:
    """For ever."""
    await service.state.used()
    while True:
        try:
            await asyncio.to_thread(remove_abandoned, service.folder)
            await service.remove_going()
        except LLMAPIError as error:
            log.debug("bytes of files are not removed now: %s", error.message)
        except Exception:
            # The border of the task: what is left is removed the next time.
            log.exception("removing bytes of files failed")
        await asyncio.sleep(SWEEP_SECONDS)
