"""Work that stops when its client leaves. Knows nothing of what the work is."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


class ClientLeftError(Exception):
    """The connection closed before the answer was ready; the work has been cancelled."""


async def until_disconnect(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, or ClientLeftError once the client is gone.

    Returns or raises only after `work` has come to its end, `finally` blocks included. The
    body of `request` must have been read: what is received after it can only be the goodbye.
    """
    presence = asyncio.timeout(None)
    try:
        async with presence:
            watching = asyncio.create_task(_watch(request, presence))
            try:
                return await work
            finally:
                watching.cancel()
    except TimeoutError as error:
        if presence.expired():
            raise ClientLeftError from error
        raise


async def _watch(request: Request, presence: asyncio.Timeout) -> None:
    """Ends the time of the work with the goodbye."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    presence.reschedule(0)
