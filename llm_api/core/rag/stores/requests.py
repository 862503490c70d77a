"""Requests to a Qdrant server or the nodes of a cluster, and what becomes of those not fulfilled.

One node is asked until it does not answer; then the next one is, and stays the one that is asked.
So a node that comes back, and does not know yet what it missed, is not asked at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llm_api.core.errors import (
    CollectionNotFoundError,
    LLMAPIError,
    StorageFullError,
    VectorStoreError,
    VectorStoreUnavailableError,
)

T = TypeVar("T")

_BUSY = frozenset({408, 429, 500, 502, 503, 504})

ROUNDS: Final = 5
PAUSE_SECONDS: Final = 0.2
"""Between two rounds: a cluster takes a moment to notice that a node is gone."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where its nodes are, and how it is to spread new collections over them."""

    urls: tuple[str, ...]
    api_key: str | None
    timeout_seconds: float
    shard_number: int | None
    replication_factor: int | None


class QdrantRequests:
    """Requests to a server, each answered within the timeout or an error.

    `clients` are those of its nodes. Every request may be sent more than once: a connection that
    the server has closed meanwhile is noticed only by using it, and a node that dies only by its
    silence. So every request has to do the same when it is done again.
    """

    def __init__(self, clients: Sequence[AsyncQdrantClient], options: ServerOptions) -> None:
        self.options = options
        self._clients = clients
        self._asked = 0

    async def ask(self, request: Callable[[AsyncQdrantClient], Awaitable[T]]) -> T:
        """Raises VectorStoreUnavailableError, CollectionNotFoundError or StorageFullError."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                if len(self._clients) == 1:
                    return await _twice(request, self._clients[0])
                return await self._of_any(request)
        except (TimeoutError, ResponseHandlingException, ResourceExhaustedResponse) as error:
            raise VectorStoreUnavailableError("The vector store does not answer.") from error
        except UnexpectedResponse as error:
            raise _refusal(error.status_code) from error

    async def _of_any(self, request: Callable[[AsyncQdrantClient], Awaitable[T]]) -> T:
        """The answer of the first node that gives one, in ROUNDS through all of them."""
        for _ in range(ROUNDS * len(self._clients) - 1):
            asked = self._asked
            try:
                return await self._of_one(request, asked)
            except UnexpectedResponse as error:
                if error.status_code not in _BUSY:
                    raise
            except (TimeoutError, ResponseHandlingException):
                pass
            if self._asked == asked:  # nobody else has moved on meanwhile
                self._asked = (asked + 1) % len(self._clients)
            if self._asked == 0:
                await asyncio.sleep(PAUSE_SECONDS)
        return await self._of_one(request, self._asked)

    async def _of_one(self, request: Callable[[AsyncQdrantClient], Awaitable[T]], node: int) -> T:
        """Within half the timeout, so that another node has the other half."""
        async with asyncio.timeout(self.options.timeout_seconds / 2):
            return await request(self._clients[node])


async def _twice(
    request: Callable[[AsyncQdrantClient], Awaitable[T]], client: AsyncQdrantClient
) -> T:
    try:
        return await request(client)
    except ResponseHandlingException:
        return await request(client)


def _refusal(status: int | None) -> LLMAPIError:
    match status:
        case 404:
            return CollectionNotFoundError("There is no such collection.", param="collection")
        case 507:
            return StorageFullError("The vector store's disk is full.")
        case 401 | 403:
            return VectorStoreError("The vector store refuses QDRANT_API_KEY.")
        case busy if busy in _BUSY:
            return VectorStoreUnavailableError(f"The vector store answers with status {status}.")
        case _:
            return VectorStoreError(f"The vector store refuses a request with status {status}.")
