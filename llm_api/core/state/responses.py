"""Responses of one owner: begun, followed by events, finished; or saved whole at the end.

    begin ──► queued ──► in_progress ──► completed │ incomplete │ failed │ cancelled
    save  ───────────────────────────────────────► the same, in one transaction

What has ended does not change any more: not by the process that makes it, not by another that took
that one for dead, not by a caller who has deleted it. The first of them decides.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError
from llm_api.core.state import response_rows as rows
from llm_api.core.state import tables
from llm_api.core.state.conversation_rows import append
from llm_api.core.state.database import Work
from llm_api.core.state.news import ResponseProgress
from llm_api.core.state.pages import page_of
from llm_api.core.state.records import (
    NewResponse,
    Outcome,
    Page,
    PageRequest,
    StoredEvent,
    StoredItem,
    StoredResponse,
    bytes_of,
)
from llm_api.core.state.shared import SharedState

EVENTS_AT_ONCE: Final = 500

_responses, _items = tables.responses, tables.response_items


@dataclass(frozen=True, slots=True)
class Responses:
    """Every method is about the responses of `owner` alone; for it there are no others."""

    _shared: SharedState
    owner: str

    async def begin(self, new: NewResponse) -> None:
        """Store a response that this process is going to finish.

        Raises ConversationNotFoundError.
        """
        size = bytes_of(new.body, *(one.body for one in new.input_items))
        values = {"worker": self._shared.worker, "size": size}
        await self._shared.write(lambda on: rows.insert_response(on, self.owner, new, values), size)

    async def save(self, new: NewResponse, outcome: Outcome) -> None:
        """Begin and finish at once. Raises ConversationNotFoundError."""
        items = *new.input_items, *outcome.output_items
        size = bytes_of(outcome.body, *(one.body for one in items))
        ended_at = self._shared.now()
        values = {"status": outcome.status, "body": outcome.body, "ended_at": ended_at}

        def work(on: Connection) -> None:
            rows.insert_response(on, self.owner, new, values | {"size": size})
            start = len(new.input_items)
            rows.insert_items(on, new.id, outcome.output_items, start, is_output=True)
            if new.conversation_id is not None:
                append(on, self.owner, new.conversation_id, items)

        await self._shared.write(work, size)

    async def start(self, id: str, body: str) -> bool:
        """From `queued` to `in_progress`. False where it has ended, or is gone."""

        def work(on: Connection) -> bool:
            change = rows.unfinished(self.owner, id).values(status="in_progress", body=body)
            return bool(on.execute(change).rowcount)

        return await self._shared.write(work)

    async def append_events(self, id: str, events: Sequence[StoredEvent]) -> bool:
        """Store events, and wake who follows. False where the response has ended, or is gone."""

        def work(on: Connection) -> bool:
            change = rows.unfinished(self.owner, id).values(rows.growth(events))
            if not on.execute(change).rowcount:
                return False
            rows.insert_events(on, id, events)
            return True

        is_stored = await self._shared.write(work, bytes_of(*(one.body for one in events)))
        self._shared.news.tell(id, has_new_events_only=True)
        return is_stored

    async def finish(self, id: str, outcome: Outcome, events: Sequence[StoredEvent] = ()) -> bool:
        """Store how it ended, and its last events.

        What went in and what came out is appended to its conversation, if that is still there.
        False where the response has ended already, or is gone: then nothing is stored.
        """
        ended_at = self._shared.now()
        texts = outcome.body, *(one.body for one in outcome.output_items)
        values = {"status": outcome.status, "body": outcome.body, "ended_at": ended_at}

        def work(on: Connection) -> bool:
            change = rows.unfinished(self.owner, id).values(
                values | {"worker": None} | rows.growth(events, *texts)
            )
            found = on.execute(change.returning(_responses.c.conversation_id)).first()
            if found is None:
                return False
            inputs = rows.read_inputs(on, id)
            rows.insert_items(on, id, outcome.output_items, len(inputs), is_output=True)
            rows.insert_events(on, id, events)
            if found.conversation_id is not None:
                append(on, self.owner, found.conversation_id, (*inputs, *outcome.output_items))
            return True

        size = bytes_of(*texts, *(one.body for one in events))
        is_stored = await self._shared.write(work, size)
        self._shared.news.tell(id)
        return is_stored

    async def get(self, id: str) -> StoredResponse:
        """Raises ResponseNotFoundError."""
        return await self._shared.read(lambda on: rows.read_response(on, self.owner, id))

    async def delete(self, id: str) -> None:
        """With its items and events. Raises ResponseNotFoundError."""

        def work(on: Connection) -> None:
            if not on.execute(delete(_responses).where(*rows.is_owned(self.owner, id))).rowcount:
                raise rows.not_found(id)

        await self._shared.write(work)
        self._shared.news.tell(id)

    async def request_cancel(self, id: str) -> StoredResponse:
        """Ask the process that makes it to stop, whichever that is; the response as it is now.

        Raises ResponseNotFoundError.
        """

        def work(on: Connection) -> StoredResponse:
            on.execute(rows.unfinished(self.owner, id).values(wants_cancel=True))
            return rows.read_response(on, self.owner, id)

        response = await self._shared.write(work)
        self._shared.news.tell(id)
        return response

    async def cancel_requested(self, id: str) -> None:
        """Return when somebody has asked to cancel it, or it is gone, or has ended."""
        query = select(_responses.c.id).where(
            *rows.is_owned(self.owner, id),
            _responses.c.worker.is_not(None),
            ~_responses.c.wants_cancel,
        )
        with self._shared.news.listen(id, only_of_cancel=True) as listener:
            while await self._shared.read(lambda on: on.execute(query).first()) is not None:
                await listener.changed()

    async def count_unfinished(self) -> int:
        """How many are being made, by any process."""
        query = (
            select(func.count())
            .select_from(_responses)
            .where(_responses.c.owner == self.owner, _responses.c.worker.is_not(None))
        )
        return await self._shared.read(lambda on: on.execute(query).scalar_one())

    async def input_items(self, id: str, page: PageRequest) -> Page[StoredItem]:
        """Raises ResponseNotFoundError; InvalidRequestError where `page.after` is no input item."""

        def work(on: Connection) -> Page[StoredItem]:
            rows.read_response(on, self.owner, id)
            return page_of(on, _items, page, _items.c.response_id == id, ~_items.c.is_output)

        return await self._shared.read(work)

    async def history(self, id: str) -> Sequence[StoredItem]:
        """What went into this response and all before it, and what came out, oldest first.

        Where the first of them belonged to a conversation, what stood there before comes first.
        Raises ResponseNotFoundError where one of them is gone; ContextLengthExceededError or
        InvalidRequestError where they are too many; ConversationNotFoundError.
        """
        return await self._shared.read(lambda on: rows.read_history(on, self.owner, id))

    async def find_items(self, ids: Sequence[str]) -> Mapping[str, StoredItem]:
        """Items of any of the responses by their ids; those that are not there are left out."""
        return await self._shared.read(lambda on: rows.read_items(on, self.owner, ids))

    async def follow(self, id: str, after: int = -1) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """All events after that number, as they are stored, in order; until the response has ended.

        Raises ResponseNotFoundError, InvalidRequestError where its events are not kept (any more).
        """

        def work(on: Connection) -> tuple[StoredResponse, Sequence[StoredEvent]]:
            response = rows.read_response(on, self.owner, id)
            return response, rows.read_events(on, id, after, EVENTS_AT_ONCE)

        with self._shared.news.listen(id) as listener:
            while True:
                response, events = await self._shared.read(work)
                if events:
                    yield events
                    after = events[-1].sequence_number
                elif response.has_ended:
                    if response.last_event is None and not response.is_lost:
                        raise _no_events(id)
                    return
                else:
                    await listener.changed()


def look(ids: Set[str]) -> Work[Mapping[str, ResponseProgress]]:
    """How these responses stand, for those who were let in to follow them."""
    columns = (_responses.c[name] for name in ("id", "status", "last_event", "wants_cancel"))
    query = select(*columns).where(_responses.c.id.in_(ids))

    def work(on: Connection) -> Mapping[str, ResponseProgress]:
        return {row.id: ResponseProgress(*row[1:]) for row in on.execute(query)}

    return work


def _no_events(id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The stream of '{id}' cannot be taken up: its events are not kept (any more). Retrieve the"
        " response without `stream`.",
        param="stream",
    )
