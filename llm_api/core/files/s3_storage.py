"""Bytes in a bucket of S3, or of a storage that speaks like it. The one door of `obstore`."""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from llm_api.core.errors import StateUnavailableError
from llm_api.core.files.byte_storage import PIECE_BYTES
from llm_api.core.files.options import S3Options

if TYPE_CHECKING:
    from obstore.store import S3Config

log = logging.getLogger(__name__)

RETRIES: Final = 3
RETRY_SECONDS: Final = 20.0


class S3Storage:
    """A key's object is `<prefix>/<its first two characters>/<key>`."""

    def __init__(self, options: S3Options) -> None:
        self._store = S3Store(
            options.bucket,
            prefix=options.prefix or None,
            config=_config(options),
            client_options={"allow_http": (options.url or "").startswith("http://")},
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            },
        )

    async def put(self, key: str, file: Path) -> None:
        try:
            with _s3_errors():
                await obstore.put_async(self._store, _place(key), file)
        except FileNotFoundError as error:
            raise StateUnavailableError("The bucket of FILES_S3_BUCKET is not there.") from error

    async def has(self, key: str) -> bool:
        try:
            with _s3_errors():
                await obstore.head_async(self._store, _place(key))
        except FileNotFoundError:
            return False
        return True

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        with _s3_errors():
            found = await obstore.get_async(self._store, _place(key))
            async for piece in found.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    async def remove(self, key: str) -> None:
        with _s3_errors():
            await obstore.delete_async(self._store, _place(key))


def _config(options: S3Options) -> "S3Config":
    config: S3Config = {}
    if options.url is not None:
        config["endpoint"] = options.url
    if options.region is not None:
        config["region"] = options.region
    if options.access_key_id is not None and options.secret_access_key is not None:
        config["access_key_id"] = options.access_key_id
        config["secret_access_key"] = options.secret_access_key
    return config


def _place(key: str) -> str:
    return f"{key[:2]}/{key}"


@contextmanager
def _s3_errors() -> Generator[None, None, None]:
    """Raises the library's errors as errors of the core, but for FileNotFoundError. Logs them."""
    try:
        yield
    except BaseError as error:
        log.warning("the storage of files: %s", str(error).partition("\n")[0])
        raise StateUnavailableError(
            "The storage of files does not answer at the moment; try again."
        ) from error
