"""One request under way: what is asked of the engine, what comes back, and the mailbox for it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TypeAlias

from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.engine.plan import AdapterScales
from llm_api.core.llm.engine.runner import DrawingRules, Drawn
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.progress import Journey
from llm_api.core.llm.types import FinishReason, Retention, Timings


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A tokenised prompt. `limit` counts prompt and answer together and fits the KV buffer."""

    prompt: tuple[int, ...]
    limit: int
    rules: DrawingRules
    end_tokens: frozenset[int]
    scope: str
    adapters: AdapterScales = ()
    journey: Journey = field(default_factory=Journey, compare=False)
    retention: Retention | None = None


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One engine step of one request. With `finish_reason` set it is the last.

    `drawn` is None where the answer ended without a further token.
    """

    drawn: Drawn | None
    finish_reason: FinishReason | None
    cached_tokens: int
    timings: Timings


class Mailbox:
    """What was delivered for one request, in order, and its one reader. For the event loop."""

    def __init__(self) -> None:
        self._delivered: deque[TokenEvent | LLMAPIError] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put(self, delivered: TokenEvent | LLMAPIError) -> None:
        self._delivered.append(delivered)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> TokenEvent | LLMAPIError:
        """The next one, once it is there."""
        while not self._delivered:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._delivered.popleft()


@dataclass(slots=True, eq=False)
class TokenJob:
    """A sequence, and when it reached each stage, in seconds of the engine's clock.

    The mailbox and `has_ended` belong to the event loop, all else to the compute thread.
    """

    sequence: Sequence
    rules: DrawingRules
    submitted: float
    mailbox: Mailbox = field(default_factory=Mailbox)
    admitted: float = 0.0
    first_token: float = 0.0
    has_ended: bool = False

    def timings(self, now: float) -> Timings:
        return Timings(
            queue_seconds=self.admitted - self.submitted,
            prefill_seconds=self.first_token - self.admitted,
            decode_seconds=now - self.first_token,
        )

    async def events(self) -> AsyncGenerator[TokenEvent, None]:
        """What comes into the mailbox, until the answer ends. Raises the error that ends it."""
        while not self.has_ended:
            delivered = await self.mailbox.get()
            if isinstance(delivered, LLMAPIError):
                self.has_ended = True
                raise delivered
            self.has_ended = delivered.finish_reason is not None
            yield delivered


Delivery: TypeAlias = tuple[TokenJob, TokenEvent | LLMAPIError]


def deliver(deliveries: list[Delivery]) -> None:
    """Put each into the mailbox of its job. For the event loop."""
    for job, delivered in deliveries:
        job.mailbox.put(delivered)
