"""What every backend that runs elsewhere shares: its HTTP client, and all but the dialect.

Knows no dialect: each backend gives paths, headers and bodies, and reads the events. It sends a
request once: the router decides whether to try again.
"""

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
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from llm_api.core.errors import (
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
)
from llm_api.core.llm.backend import ModelCard, WithoutVocabulary
from llm_api.core.llm.backends.server_sent import EventReader, ServerSentEvent
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.types import JSON, Event, Finished, GenerationRequest
from llm_api.core.upstream import Understanding, UpstreamServer, refusal
from llm_api.core.utils.tokens import estimate_tokens

if TYPE_CHECKING:
    from llm_api.core.upstream_http import OpenAnswer

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
        # It takes a tenth of a second to import: only for those who ask other servers.
        from llm_api.core.upstream_http import UpstreamHTTP  # noqa: PLC0415

        self._server = UpstreamServer(url, key_name, options.api_key, advice)
        self._understood = Understanding(self._server)
        self._quick = options.connect_seconds
        self._is_ours = False
        self._http = UpstreamHTTP(
            self._server,
            url,
            headers,
            connect_seconds=options.connect_seconds,
            silence_seconds=options.silence_seconds,
        )

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
    ) -> AsyncGenerator[AsyncIterator[ServerSentEvent], None]:
        """POST, answered by server-sent events. Leaving ends the request."""
        async with self._http.stream(path, body) as answer:
            self._is_ours = OUR_HEADER in answer.headers
            yield self._events(answer)

    @asynccontextmanager
    async def lines(
        self, path: str, body: Mapping[str, JSON]
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """POST, answered by lines that are not empty. Leaving ends the request."""
        async with self._http.stream(path, body) as answer:
            yield _lines(self._server, answer)

    async def get(self, path: str) -> JSON:
        """The JSON there, which must come about as quickly as a connection."""
        answer = await self._http.get(path, self._quick)
        if not answer.is_success:
            raise refusal(self._server, answer)
        with self.understood:
            said: JSON = answer.json()
            return said

    async def check(self, path: str) -> None:
        """Ask for something that is always there. Raises UnavailableError, whatever is wrong."""
        try:
            await self.get(path)
        except (InvalidRequestError, OverloadedError, UpstreamError) as error:
            raise UnavailableError(error.message) from error

    @property
    def understood(self) -> Understanding:
        """A block that reads an answer of this server."""
        return self._understood

    async def aclose(self) -> None:
        """Close every connection. Requests still running end with UnavailableError. Idempotent."""
        await self._http.aclose()

    async def _events(self, answer: "OpenAnswer") -> AsyncIterator[ServerSentEvent]:
        reader = EventReader()
        with self.understood:
            if answer.media_type != "text/event-stream":
                raise ValueError("no stream of events")
        async for part in answer.parts():
            with self.understood:
                events = reader.read(part)
            for event in events:
                yield event


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


async def _lines(server: UpstreamServer, answer: "OpenAnswer") -> AsyncGenerator[bytes, None]:
    """Split at newlines alone: JSON text may hold what Unicode calls a line's end as well.

    Raises UpstreamError for a line without end.
    """
    line = bytearray()
    async for part in answer.parts():
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
        with client.understood:
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
