"""Reading an answer that another server streams: what holds in every dialect."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import TypeVar

from llm_api.core.errors import UpstreamError
from llm_api.core.llm.backends.upstream_backend import UpstreamClient
from llm_api.core.llm.types import Event, Finished

Part = TypeVar("Part")


async def answer_events(
    client: UpstreamClient, parts: AsyncIterator[Part], read: Callable[[Part], Iterable[Event]]
) -> AsyncGenerator[Event, None]:
    """What `read` makes of the parts, `Finished` last.

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
        raise UpstreamError(f"{client.origin} ended its answer before it was complete; try again.")
    yield finished


def text_of(value: object) -> str:
    """A text in an answer. Raises TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
