"""What both stores do to the rows of a conversation, within a transaction."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import ContextLengthExceededError, ConversationNotFoundError
from llm_api.core.state import tables
from llm_api.core.state.records import StoredItem, bytes_of

MAX_HISTORY_BYTES: Final = 32 * 1024 * 1024
"""Of all that a response goes on from, which is read into memory as a whole."""

_conversations, _items = tables.conversations, tables.conversation_items


def is_owned(owner: str, id: str) -> tuple[ColumnElement[bool], ...]:
    """The conversation of this id, if it is the owner's."""
    return _conversations.c.id == id, _conversations.c.owner == owner


def not_found(id: str) -> ConversationNotFoundError:
    return ConversationNotFoundError(f"Conversation with id '{id}' not found.")


def length_of(on: Connection, owner: str, id: str) -> int:
    """The position of the next item. Raises ConversationNotFoundError."""
    length: int | None = on.execute(
        select(_conversations.c.length).where(*is_owned(owner, id))
    ).scalar()
    if length is None:
        raise not_found(id)
    return length


def append(on: Connection, owner: str, id: str, items: Sequence[StoredItem]) -> bool:
    """Append the items that are not there yet, by their ids. False where it is gone."""
    new = {one.id: one for one in items}
    size = bytes_of(*(one.body for one in items))
    grown = update(_conversations).where(*is_owned(owner, id))
    # First of all, since it keeps others from appending until this transaction has ended.
    row = on.execute(
        grown.values(
            length=_conversations.c.length + len(new), size=_conversations.c.size + size
        ).returning(_conversations.c.length)
    ).first()
    if row is None:
        return False
    there = select(_items.c.id).where(_items.c.conversation_id == id, _items.c.id.in_(new))
    for known in on.execute(there).scalars():
        del new[known]
    rows = [
        {"conversation_id": id, "position": position, "id": one.id, "body": one.body}
        for position, one in enumerate(new.values(), row.length - len(new))
    ]
    if rows:
        on.execute(insert(_items), rows)
    return True


def items_of(on: Connection, owner: str, id: str, below: int | None = None) -> Sequence[StoredItem]:
    """Its items, oldest first; those before the position `below`, if it is given.

    Raises ConversationNotFoundError, or ContextLengthExceededError where they are too many.
    """
    size = on.execute(select(_conversations.c.size).where(*is_owned(owner, id))).scalar()
    if size is None:
        raise not_found(id)
    check_history(size)
    query = select(_items.c.id, _items.c.body).where(_items.c.conversation_id == id)
    if below is not None:
        query = query.where(_items.c.position < below)
    return [StoredItem(*row) for row in on.execute(query.order_by(_items.c.position))]


def check_history(size: int) -> None:
    """Raises ContextLengthExceededError for so many bytes."""
    if size > MAX_HISTORY_BYTES:
        raise ContextLengthExceededError(
            f"What this goes on from has {size:,} bytes, of {MAX_HISTORY_BYTES:,} at most;"
            " begin anew, with what matters of it."
        )
