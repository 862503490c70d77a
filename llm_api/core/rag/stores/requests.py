"""Requests to a Qdrant server, and what becomes of those it does not fulfil."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

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


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server is, and how it is to spread new collections over a cluster."""

    url: str
    api_key: str | None
    timeout_seconds: float
    shard_number: int | None
    replication_factor: int | None


class QdrantRequests:
    """Requests to a server, each answered within the timeout or an error.

    Every request may be sent twice: a connection that the server has closed meanwhile is noticed
    only by using it.
    """

    def __init__(self, client: AsyncQdrantClient, options: ServerOptions) -> None:
        self.client = client
        self.options = options

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Raises VectorStoreUnavailableError, CollectionNotFoundError or StorageFullError."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                try:
                    return await request()
                except ResponseHandlingException:
                    return await request()
        except (TimeoutError, ResponseHandlingException, ResourceExhaustedResponse) as error:
            raise VectorStoreUnavailableError("The vector store does not answer.") from error
        except UnexpectedResponse as error:
            raise _refusal(error.status_code) from error


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
