"""Calls between this process and the one that holds the embedded store, as frames on pipes.

Pickled, since both ends are the same code, and nobody else can write into the pipes.
"""

import asyncio
import pickle
from dataclasses import dataclass
from typing import cast

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Call:
    number: int
    method: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What call `number` returned, or the error it raised."""

    number: int
    value: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """The process is alive, and has not answered everything yet."""


def encode(message: Call | Reply | Beat) -> bytes:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


async def read(reader: asyncio.StreamReader) -> Call | Reply | Beat | None:
    """The next message, or None if the other end has gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        message = pickle.loads(await reader.readexactly(length))  # noqa: S301 - see above
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return cast("Call | Reply | Beat", message)
