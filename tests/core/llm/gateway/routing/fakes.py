"""A clock that tests turn, replicas that play scripts, and requests for them."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.gateway.routing.breaker import BreakerLimits, CircuitBreaker
from llm_api.core.llm.gateway.routing.replica import Replica
from llm_api.core.llm.types import Event, GenerationRequest, TextDelta, TextPrompt
from tests.fakes import CARD, FakeBackend, Step, hello

HELLO = GenerationRequest(TextPrompt("Hello"), 5)


@dataclass
class FakeClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Plan(FakeBackend):
    """Plays the next of `steps` for each request, and `hello` once they are used up."""

    steps: list[Sequence[Step]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script = lambda request: self.steps.pop(0) if self.steps else hello(request)


def plan(name: str, *steps: Sequence[Step]) -> Plan:
    return Plan(card=replace(CARD, id=name, backend=f"kind-{name}"), steps=list(steps))


def replica(
    backend: FakeBackend,
    weight: float = 1,
    check: Callable[[], Awaitable[None]] | None = None,
) -> Replica:
    breaker = CircuitBreaker(BreakerLimits(failures=2))
    return Replica(backend.card.id, backend, weight, check, breaker)


async def events_of(backend: Backend, request: GenerationRequest = HELLO) -> list[Event]:
    async with aclosing(backend.generate(request)) as events:
        return [event async for event in events]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))
