"""One response in the store: begun, or saved whole; its events; its end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_api.api.mapping.responses.fold import ResponseFold
from llm_api.api.mapping.responses.stored import to_outcome, to_stored_events
from llm_api.api.models.responses.stream_events import ResponseEvent
from llm_api.api.sse import text_frame
from llm_api.core.state.records import NewResponse, StoredEvent, StoredItem

if TYPE_CHECKING:
    from llm_api.core.state.responses import Responses


@dataclass(slots=True)
class Keeping:
    """Stores what the fold makes. `events` wait for being stored; `begun` is the first body."""

    store: "Responses"
    fold: ResponseFold
    input_items: Sequence[StoredItem]
    events: list[StoredEvent] = field(default_factory=list)
    begun: str = ""

    @property
    def id(self) -> str:
        return self.fold.response.id

    async def save(self) -> None:
        """Store a response that has ended. Raises what the store does."""
        await self.store.save(self._new(), to_outcome(self.fold.response))

    async def begin(self) -> None:
        """Store a response that begins. Raises what the store does."""
        new = self._new()
        self.begun = new.body
        await self.store.begin(new)

    async def start(self) -> bool:
        """Store that its turn has come. False where it has ended, or is gone."""
        return await self.store.start(self.id, self.fold.response.to_json())

    def note(self, events: Sequence[ResponseEvent]) -> bytes:
        """Events to be stored, as frames."""
        stored = to_stored_events(events)
        self.events += stored
        frames = (
            text_frame(event.EVENT, one.body) for event, one in zip(events, stored, strict=True)
        )
        return b"".join(frames)

    async def append(self) -> bool:
        """Store the events that wait. False where the response has ended, or is gone."""
        events = tuple(self.events)
        is_stored = await self.store.append_events(self.id, events)
        del self.events[: len(events)]
        return is_stored

    async def finish(self) -> None:
        """Store how it ended, with the events that wait."""
        await self.store.finish(self.id, to_outcome(self.fold.response), self.events)

    def _new(self) -> NewResponse:
        response = self.fold.response
        return NewResponse(
            response.id,
            response.created_at,
            response.to_json(),
            self.input_items,
            response.previous_response_id,
            None if response.conversation is None else response.conversation.id,
            response.background,
            "queued" if response.status == "queued" else "in_progress",
            response.metadata.get("thread_id") or None,
        )
