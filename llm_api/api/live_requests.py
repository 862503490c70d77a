"""The requests that a model works for now, and the last that one has. Of one application.

Holds what the request has anyway: how far each is, its journey tells when somebody asks.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from fastapi import FastAPI
from starlette.types import Scope

from llm_api.api.request_facts import RequestFacts
from llm_api.core.llm.progress import Progress, RequestState
from llm_api.core.llm.types import Timings, Usage

RECENT: Final = 32


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """One request that is being answered. `key_name` is None without keys."""

    facts: RequestFacts
    scope: Scope

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def key_name(self) -> str | None:
        return cast(str | None, self.scope["state"].get("key_name"))

    @property
    def state(self) -> RequestState:
        """That of its answer which has come farthest; else what its deltas show."""
        told = {one.state for one in self.progress()}
        if "writing" in told or self.facts.first_token_seconds is not None:
            return "writing"
        if told:
            return "reading" if "reading" in told else "waiting"
        return "waiting" if self.facts.journeys else "reading"

    def progress(self) -> list[Progress]:
        """How far each of its answers is, as far as their backends tell."""
        looked = (journey.progress() for journey in self.facts.journeys)
        return [one for one in looked if one is not None]


@dataclass(frozen=True, slots=True)
class EndedRequest:
    """One request that has been answered, without its words."""

    id: str
    path: str
    model: str | None
    key_name: str | None
    status: int | None
    received: datetime
    seconds: float
    timings: Timings | None
    usage: Usage | None


@dataclass(slots=True)
class LiveRequests:
    """By id, in the order in which they came. Belongs to the event loop."""

    _requests: dict[str, LiveRequest] = field(default_factory=dict)
    _recent: deque[EndedRequest] = field(default_factory=lambda: deque(maxlen=RECENT))

    def begin(self, facts: RequestFacts, scope: Scope) -> None:
        self._requests[facts.id] = LiveRequest(facts, scope)

    def end(self, facts: RequestFacts) -> None:
        """Its answer has ended, what goes on in the background included."""
        request = self._requests.pop(facts.id)
        if facts.operation is not None:
            self._recent.appendleft(_ended(request))

    def all(self) -> Iterator[LiveRequest]:
        """Those that a model works for."""
        return (one for one in self._requests.values() if one.facts.operation is not None)

    def find(self, id: str) -> LiveRequest | None:
        return next((one for one in self.all() if one.facts.id == id), None)

    def recent(self) -> list[EndedRequest]:
        """The last that have ended, the newest first."""
        return list(self._recent)


def live_requests_of(app: FastAPI) -> LiveRequests:
    """The requests of this application."""
    return cast(LiveRequests, app.state.live_requests)


def _ended(request: LiveRequest) -> EndedRequest:
    facts = request.facts
    return EndedRequest(
        facts.id,
        request.path,
        facts.model,
        request.key_name,
        facts.status,
        facts.received,
        facts.total_seconds or 0.0,
        facts.timings,
        facts.usage,
    )
