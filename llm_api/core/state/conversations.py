"""Conversations of one owner: items that responses read, and add to when they finish."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import ItemNotFoundError
from llm_api.core.state import tables
from llm_api.core.state.conversation_rows import append, is_owned, items_of, not_found
from llm_api.core.state.pages import page_of
from llm_api.core.state.records import (
    Page,
    PageRequest,
    StoredConversation,
    StoredItem,
    bytes_of,
)
from llm_api.core.state.shared import SharedState

_conversations, _items = tables.conversations, tables.conversation_items


@dataclass(frozen=True, slots=True)
class Conversations:
    """Every method is about the conversations of `owner` alone; for it there are no others.

    Each raises ConversationNotFoundError.
    """

    _shared: SharedState
    owner: str

    async def create(self, new: StoredConversation, items: Sequence[StoredItem] = ()) -> None:
        """Store one that nobody has stored yet."""
        size = bytes_of(new.metadata, *(one.body for one in items))
        row = {
            "id": new.id,
            "owner": self.owner,
            "created_at": new.created_at,
            "length": 0,
            "size": bytes_of(new.metadata),
            "metadata": new.metadata,
        }

        def work(on: Connection) -> None:
            on.execute(insert(_conversations), row)
            append(on, self.owner, new.id, items)

        await self._shared.write(work, size)

    async def get(self, id: str) -> StoredConversation:
        return await self._shared.read(lambda on: self._get(on, id))

    async def update(self, id: str, metadata: str) -> StoredConversation:
        """Replace its metadata."""

        def work(on: Connection) -> StoredConversation:
            grown = bytes_of(metadata) - bytes_of(self._get(on, id).metadata)
            values = {"metadata": metadata, "size": _conversations.c.size + grown}
            on.execute(update(_conversations).where(*is_owned(self.owner, id)).values(values))
            return self._get(on, id)

        return await self._shared.write(work, bytes_of(metadata))

    async def delete(self, id: str) -> None:
        """With its items. The responses that belonged to it stay."""

        def work(on: Connection) -> None:
            if not on.execute(delete(_conversations).where(*is_owned(self.owner, id))).rowcount:
                raise not_found(id)

        await self._shared.write(work)

    async def add_items(self, id: str, items: Sequence[StoredItem]) -> None:
        """Append items. One whose id is there already stays as it is, where it is."""

        def work(on: Connection) -> None:
            if not append(on, self.owner, id, items):
                raise not_found(id)

        await self._shared.write(work, bytes_of(*(one.body for one in items)))

    async def items(self, id: str, page: PageRequest) -> Page[StoredItem]:
        """Raises InvalidRequestError as well, where `page.after` is none of its items."""

        def work(on: Connection) -> Page[StoredItem]:
            self._get(on, id)
            return page_of(on, _items, page, _items.c.conversation_id == id)

        return await self._shared.read(work)

    async def all_items(self, id: str) -> Sequence[StoredItem]:
        """Oldest first. Raises ContextLengthExceededError as well, where they are too many."""
        return await self._shared.read(lambda on: items_of(on, self.owner, id))

    async def get_item(self, id: str, item_id: str) -> StoredItem:
        """Raises ItemNotFoundError as well."""

        def work(on: Connection) -> StoredItem:
            self._get(on, id)
            row = on.execute(select(_items.c.id, _items.c.body).where(*_one(id, item_id))).first()
            if row is None:
                raise _no_item(item_id)
            return StoredItem(row.id, row.body)

        return await self._shared.read(work)

    async def delete_item(self, id: str, item_id: str) -> StoredConversation:
        """The conversation without it. Raises ItemNotFoundError as well."""

        def work(on: Connection) -> StoredConversation:
            conversation = self._get(on, id)
            gone = on.execute(delete(_items).where(*_one(id, item_id)).returning(_items.c.body))
            if (row := gone.first()) is None:
                raise _no_item(item_id)
            shrunk = _conversations.c.size - bytes_of(row.body)
            on.execute(update(_conversations).where(*is_owned(self.owner, id)).values(size=shrunk))
            return conversation

        return await self._shared.write(work)

    def _get(self, on: Connection, id: str) -> StoredConversation:
        row = on.execute(select(_conversations).where(*is_owned(self.owner, id))).first()
        if row is None:
            raise not_found(id)
        return StoredConversation(row.id, row.created_at, row.metadata)


def _one(id: str, item_id: str) -> tuple[ColumnElement[bool], ...]:
    return _items.c.conversation_id == id, _items.c.id == item_id


def _no_item(item_id: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"Item with id '{item_id}' not found.")
