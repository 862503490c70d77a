"""What every backend that runs elsewhere shares: its HTTP client, and all but the dialect.

Knows no dialect: each backend gives paths, headers and bodies, and reads the events. It sends a
request once: the router decides whether to try again.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx2

from llm_api.core.errors import (
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
)
from llm_api.core.llm.backend import ModelCard, WithoutVocabulary
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.types import JSON, Event, Finished, GenerationRequest
from llm_api.core.upstream import (
    UpstreamServer,
    explained,
    open_http,
    refusal,
    understood,
    whole_body,
)
from llm_api.core.utils.tokens import estimate_tokens

Part = TypeVar("Part")

OUR_HEADER: Final = "x-llm-api-backend"
"""By which an answer of a server like this one is known."""

LINE_BYTES: Final = 16 * 1024 * 1024
"""Of one line of an answer. An event of server-sent events is bounded by who reads them."""


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """Where a model runs. `model` is that server's own name for it.

    `silence_seconds` bounds the time between two parts of an answer, the first one included.
    """

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    connect_seconds: float = 5.0
    silence_seconds: float = 120.0


class UpstreamClient:
    """Connections to one server, kept and reused.

    Raises UnavailableError, OverloadedError, InvalidRequestError, UpstreamError and
    UpstreamTimeoutError, none of which contains the key; `key_name` is the setting that they name.
    """

    def __init__(
        self,
        url: str,
        options: UpstreamOptions,
        headers: Mapping[str, str],
        key_name: str,
        advice: str = "",
    ) -> None:
        """`url` is what the paths are below; `headers` carry the key as the dialect wants it.

        `advice` is what to do where the server does not have the model.
        """
        self._server = UpstreamServer(url, key_name, options.api_key, advice)
        self._quick = options.connect_seconds
        self._is_ours = False
        timeout = httpx2.Timeout(options.silence_seconds, connect=options.connect_seconds)
        self._http = open_http(url, headers, timeout)

    @property
    def server(self) -> UpstreamServer:
        """The server as errors name it."""
        return self._server

    @property
    def is_ours(self) -> bool:
        """Whether an answer has shown that the server is one like this one."""
        return self._is_ours

    @asynccontextmanager
    async def events(
        self, path: str, body: Mapping[str, JSON]
    ) -> AsyncGenerator[AsyncIterator[httpx2.ServerSentEvent], None]:
        """POST, answered by server-sent events; comments are left out. Leaving ends the request."""
        async with self._answer(path, body) as response:
            yield aiter(httpx2.EventSource(response))

    @asynccontextmanager
    async def lines(
        self, path: str, body: Mapping[str, JSON]
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """POST, answered by lines that are not empty. Leaving ends the request."""
        async with self._answer(path, body) as response:
            yield _lines(self._server, response)

    async def get(self, path: str) -> JSON:
        """The JSON there, which must come about as quickly as a connection."""
        with self._explained():
            async with self._http.stream("GET", path, timeout=self._quick) as response:
                if not response.is_success:
                    raise await refusal(self._server, response)
                body = await whole_body(self._server, response)
        with self.understood():
            said: JSON = json.loads(body)
            return said

    async def check(self, path: str) -> None:
        """Ask for something that is always there. Raises UnavailableError, whatever is wrong."""
        try:
            await self.get(path)
        except (InvalidRequestError, OverloadedError, UpstreamError) as error:
            raise UnavailableError(error.message) from error

    def understood(self) -> AbstractContextManager[None]:
        """A block that reads an answer: what a wrong form raises there becomes UpstreamError."""
        return understood(self._server)

    async def aclose(self) -> None:
        """Close every connection. Requests still running end with UnavailableError. Idempotent."""
        await self._http.aclose()

    @asynccontextmanager
    async def _answer(
        self, path: str, body: Mapping[str, JSON]
    ) -> AsyncGenerator[httpx2.Response, None]:
        with self._explained():
            async with self._http.stream("POST", path, json=body) as response:
                if not response.is_success:
                    raise await refusal(self._server, response)
                self._is_ours = OUR_HEADER in response.headers
                yield response

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """As `explained`; but what breaks because it was closed here is not the server's fault."""
        if self._http.is_closed:
            raise _stopping()
        try:
            with explained(self._server):
                yield
        except UpstreamError as error:
            if self._http.is_closed:
                raise _stopping() from error
            raise


class UpstreamBackend(WithoutVocabulary, ABC):
    """Owns its client. `check_path` is where the server tells that it is there."""

    def __init__(self, card: ModelCard, client: UpstreamClient, check_path: str) -> None:
        self._card = card
        self._client = client
        self._check_path = check_path

    @property
    def card(self) -> ModelCard:
        return self._card

    @abstractmethod
    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, in the server's dialect."""

    async def check(self) -> None:
        """Find out whether the server answers, and takes the key. Raises UnavailableError."""
        await self._client.check(self._check_path)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Estimates: the vocabulary is not known here."""
        return [estimate_tokens(text) for text in texts]

    def observe(self) -> Iterator[Observation]:
        return iter(())

    async def aclose(self) -> None:
        await self._client.aclose()


def _stopping() -> UnavailableError:
    return UnavailableError("The server is stopping.")


async def _lines(server: UpstreamServer, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """Split at newlines alone: JSON text may hold what Unicode calls a line's end as well.

    Raises UpstreamError for a line without end.
    """
    line = bytearray()
    async for part in response.aiter_bytes():
        *ends, rest = part.split(b"\n")
        for end in ends:
            line += end
            if line.strip():
                yield bytes(line)
            line.clear()
        line += rest
        if len(line) > LINE_BYTES:
            raise UpstreamError(f"{server} sent a line of more than {LINE_BYTES} bytes.")
    if line.strip():
        yield bytes(line)


async def answer_events(
    client: UpstreamClient, parts: AsyncIterator[Part], read: Callable[[Part], Iterable[Event]]
) -> AsyncGenerator[Event, None]:
    """The events that `read` makes of the parts of a stream, `Finished` last.

    Raises UpstreamError for parts that it cannot read, and for a stream that ends before.
    """
    finished: Finished | None = None
    async for part in parts:
        with client.understood():
            events = list(read(part))
        for event in events:
            if isinstance(event, Finished):
                finished = event  # to the end of the body: only then is the connection free again
            else:
                yield event
    if finished is None:
        raise UpstreamError(f"{client.server} ended its answer before it was complete; try again.")
    yield finished


def text_of(value: object) -> str:
    """A text in an answer. Raises TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
