"""The rows of a response, within a transaction: made, ended, read. Every query has the owner."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Update, insert, literal, select, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError, ResponseNotFoundError
from llm_api.core.state import tables
from llm_api.core.state.conversation_rows import check_history, items_of, length_of
from llm_api.core.state.records import (
    UNFINISHED,
    NewResponse,
    StoredEvent,
    StoredItem,
    StoredResponse,
    bytes_of,
)

MAX_TURNS: Final = 1_000
"""Responses of which one goes on from the other."""

_responses, _items, _events = tables.responses, tables.response_items, tables.response_events
# Made once: SQLAlchemy then knows their text without looking at them.
_INSERT_RESPONSE, _INSERT_ITEMS, _INSERT_EVENTS = map(insert, (_responses, _items, _events))


def is_owned(owner: str, id: str) -> tuple[ColumnElement[bool], ...]:
    """The response of this id, if it is the owner's."""
    return _responses.c.id == id, _responses.c.owner == owner


def unfinished(owner: str, id: str) -> Update:
    """A change of this response, if it has not ended."""
    return update(_responses).where(*is_owned(owner, id), _responses.c.status.in_(UNFINISHED))


def not_found(id: str) -> ResponseNotFoundError:
    return ResponseNotFoundError(f"Response with id '{id}' not found.")


def insert_response(
    on: Connection, owner: str, new: NewResponse, values: Mapping[str, Any]
) -> None:
    """A new row with these `values`, and its input. Raises ConversationNotFoundError."""
    conversation = new.conversation_id
    row = {
        "id": new.id,
        "owner": owner,
        "status": new.status,
        "created_at": new.created_at,
        "previous_id": new.previous_id,
        "conversation_id": conversation,
        "conversation_length": 0 if conversation is None else length_of(on, owner, conversation),
        "is_background": new.is_background,
        "is_lost": False,
        "wants_cancel": False,
        "body": new.body,
        **({} if new.thread_id is None else {"thread_id": new.thread_id}),
    }
    on.execute(_INSERT_RESPONSE, row | dict(values))
    insert_items(on, new.id, new.input_items)


def insert_items(
    on: Connection, id: str, items: Sequence[StoredItem], start: int = 0, *, is_output: bool = False
) -> None:
    rows = [
        {"response_id": id, "position": n, "is_output": is_output, "id": one.id, "body": one.body}
        for n, one in enumerate(items, start)
    ]
    if rows:
        on.execute(_INSERT_ITEMS, rows)


def insert_events(on: Connection, id: str, events: Sequence[StoredEvent]) -> None:
    rows = [
        {"response_id": id, "sequence_number": one.sequence_number, "body": one.body}
        for one in events
    ]
    if rows:
        on.execute(_INSERT_EVENTS, rows)


def growth(events: Sequence[StoredEvent], *texts: str) -> dict[str, Any]:
    """How these events and texts change the row of their response."""
    size = bytes_of(*texts, *(one.body for one in events))
    grown = {"size": _responses.c.size + size}
    return grown | {"last_event": events[-1].sequence_number} if events else grown


def read_response(on: Connection, owner: str, id: str) -> StoredResponse:
    """Raises ResponseNotFoundError."""
    row = on.execute(select(_responses).where(*is_owned(owner, id))).first()
    if row is None:
        raise not_found(id)
    return to_response(row)


def to_response(row: Row[Any]) -> StoredResponse:
    return StoredResponse(
        row.id,
        row.status,
        row.body,
        row.created_at,
        row.ended_at,
        row.previous_id,
        row.conversation_id,
        row.is_background,
        row.is_lost,
        row.last_event,
    )


def read_inputs(on: Connection, id: str) -> Sequence[StoredItem]:
    query = select(_items.c.id, _items.c.body).where(
        _items.c.response_id == id, ~_items.c.is_output
    )
    return [StoredItem(*row) for row in on.execute(query.order_by(_items.c.position))]


def read_events(on: Connection, id: str, after: int, limit: int) -> Sequence[StoredEvent]:
    query = select(_events.c.sequence_number, _events.c.body).where(
        _events.c.response_id == id, _events.c.sequence_number > after
    )
    rows = on.execute(query.order_by(_events.c.sequence_number).limit(limit))
    return [StoredEvent(*row) for row in rows]


def read_items(on: Connection, owner: str, ids: Sequence[str]) -> Mapping[str, StoredItem]:
    query = (
        select(_items.c.id, _items.c.body)
        .join(_responses, _responses.c.id == _items.c.response_id)
        .where(_items.c.id.in_(ids), _responses.c.owner == owner)
    )
    return {row.id: StoredItem(row.id, row.body) for row in on.execute(query)}


def read_history(on: Connection, owner: str, id: str) -> Sequence[StoredItem]:
    """As `Responses.history`."""
    turns = _chain(on, owner, id)
    check_history(sum(turn.size for turn in turns))
    first = turns[-1]
    before: Sequence[StoredItem] = ()
    if first.conversation_id is not None:
        before = items_of(on, owner, first.conversation_id, first.conversation_length)
    place = {turn.id: number for number, turn in enumerate(reversed(turns))}
    rows = on.execute(
        select(_items.c.response_id, _items.c.id, _items.c.body)
        .where(_items.c.response_id.in_(place))
        .order_by(_items.c.position)
    ).all()
    ordered = sorted(rows, key=lambda row: place[row.response_id])  # stable: positions stay
    return [*before, *(StoredItem(row.id, row.body) for row in ordered)]


def _chain(on: Connection, owner: str, id: str) -> Sequence[Row[Any]]:
    """The response and those before it, the newest first. Raises ResponseNotFoundError."""
    columns = [
        _responses.c[name]
        for name in ("id", "previous_id", "conversation_id", "conversation_length", "size")
    ]
    last = (
        select(*columns, literal(1).label("turn")).where(*is_owned(owner, id)).cte(recursive=True)
    )
    before = (
        select(*columns, last.c.turn + 1)
        .join(last, _responses.c.id == last.c.previous_id)
        .where(_responses.c.owner == owner, last.c.turn <= MAX_TURNS)
    )
    chain = last.union_all(before)
    turns = on.execute(select(chain).order_by(chain.c.turn)).all()
    if not turns:
        raise not_found(id)
    if len(turns) > MAX_TURNS:
        raise InvalidRequestError(
            f"More than {MAX_TURNS:,} responses go on from one another here; begin anew.",
            param="previous_response_id",
        )
    if (missing := turns[-1].previous_id) is not None:
        raise not_found(missing)
    return turns
