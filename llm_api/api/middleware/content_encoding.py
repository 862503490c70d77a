"""Bodies that come compressed: gzip and deflate, decoded piece by piece as they are read.

Covers bombs: a piece has a bounded size, and no more than the bound of the body is ever decoded.
"""

import asyncio
import zlib
from collections.abc import Callable

from starlette.types import Message, Receive

from llm_api.api.errors import Failure

PIECE_BYTES = 256 * 1024
"""What is decoded at once: less than a millisecond."""

_ZLIB, _RAW, _GZIP = 15, -15, 31  # zlib's `wbits`
_DEFLATE_METHOD = 8


class BrokenEncodingError(Exception):
    """The body is not what its encoding says."""


class Inflater:
    """One body in gzip, of one member or several, or in deflate, with zlib's head or without it."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._input = b""
        self._stream: zlib._Decompress | None = None
        self._has_ended = False
        self._is_full = False

    @property
    def has_more(self) -> bool:
        """Whether `take` may give more without being fed."""
        return bool(self._input) or self._is_full

    @property
    def is_whole(self) -> bool:
        """Whether the body may end here."""
        return self._stream is None and not self._input

    def feed(self, data: bytes) -> None:
        """More of the body as it was sent."""
        self._input += data

    def take(self) -> bytes:
        """At most PIECE_BYTES of the body, or nothing yet. Raises BrokenEncodingError."""
        stream = self._stream or self._next_stream()
        try:
            output = stream.decompress(self._input, PIECE_BYTES)
        except zlib.error as error:
            raise BrokenEncodingError from error
        self._is_full = len(output) == PIECE_BYTES and not stream.eof
        self._input = stream.unused_data if stream.eof else stream.unconsumed_tail
        self._has_ended = stream.eof
        self._stream = None if stream.eof else stream
        return output

    def _next_stream(self) -> "zlib._Decompress":
        if self._is_gzip:
            return zlib.decompressobj(_GZIP)
        if self._has_ended:
            raise BrokenEncodingError
        has_head = self._input[0] & 0xF == _DEFLATE_METHOD
        return zlib.decompressobj(_ZLIB if has_head else _RAW)


def inflater_of(encoding: str) -> Inflater | None:
    """What decodes bodies of this Content-Encoding; None for one that is not supported. Pure."""
    name = encoding.strip().lower()
    if name not in ("gzip", "x-gzip", "deflate"):
        return None
    return Inflater(is_gzip=name != "deflate")


def unsupported(encoding: str) -> Failure:
    """The answer to a body that cannot be decoded."""
    return Failure(
        415,
        "invalid_request_error",
        f"The Content-Encoding '{encoding}' is not supported; send gzip, deflate, or none.",
        "unsupported_content_encoding",
        headers={"accept-encoding": "gzip, deflate"},
    )


BROKEN = Failure(
    400,
    "invalid_request_error",
    "The request body is not what its Content-Encoding says, or ends too early.",
    "invalid_content_encoding",
)


def decoded(
    receive: Receive,
    inflater: Inflater,
    count: Callable[[int], None],
    broken: Callable[[], Exception],
) -> Receive:
    """The messages of `receive`, their bodies decoded.

    Calls `count` with the size of each piece, which may raise; raises `broken()` for what is no
    body of that encoding.
    """
    is_read = False
    is_told = False

    async def next_piece() -> Message:
        nonlocal is_read, is_told
        while not is_told:
            if inflater.has_more:
                await asyncio.sleep(0)  # others come in between two pieces
                if body := _taken(inflater, broken):
                    count(len(body))
                    return {"type": "http.request", "body": body, "more_body": True}
            elif is_read:
                is_told = True
                if not inflater.is_whole:
                    raise broken()
                return {"type": "http.request", "body": b"", "more_body": False}
            else:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                inflater.feed(message.get("body", b""))
                is_read = not message.get("more_body", False)
        return await receive()

    return next_piece


def _taken(inflater: Inflater, broken: Callable[[], Exception]) -> bytes:
    try:
        return inflater.take()
    except BrokenEncodingError as error:
        raise broken() from error
