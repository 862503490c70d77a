"""Threads of one owner: responses that go on from one another, seen from the first of them.

A thread is no row of its own: it is a response that goes on from none that is kept, with all that
go on from it, by any number of branches, and the other beginnings that name it. Responses that
belong to a conversation are in no thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError
from llm_api.core.state import response_rows as rows
from llm_api.core.state import tables
from llm_api.core.state.records import (
    Page,
    PageRequest,
    StoredItem,
    StoredThread,
    StoredTurn,
    ThreadSearch,
)
from llm_api.core.state.shared import SharedState

MOST_RESPONSES: Final = 20_000
"""The newest responses of an owner that threads are made of: bounds the time of a question."""
MOST_TURNS: Final = 2_000
"""Responses that are shown of one thread, the newest."""

_responses, _items = tables.responses, tables.response_items


@dataclass(frozen=True, slots=True)
class Threads:
    """Every method is about the threads of `owner` alone; for it there are no others."""

    _shared: SharedState
    owner: str

    async def list(
        self, page: PageRequest, search: ThreadSearch | None = None
    ) -> Page[StoredThread]:
        """Those that changed last come first, whatever the page's order; those that say something.

        Raises InvalidRequestError where there is no thread `page.after`.
        """
        return await self._shared.read(lambda on: _page(on, self.owner, page, search))

    async def turns(self, id: str) -> Sequence[StoredTurn]:
        """All responses of a thread, oldest first. Raises ResponseNotFoundError."""

        def work(on: Connection) -> Sequence[StoredTurn]:
            rows.read_response(on, self.owner, id)
            members = sorted(_members(on, self.owner, id))
            found = _responses.c.id.in_(one for _, one in members[-MOST_TURNS:])
            query = select(_responses).where(found)
            inputs: dict[str, list[StoredItem]] = {}
            for item in on.execute(
                select(_items.c.response_id, _items.c.id, _items.c.body)
                .where(_items.c.response_id.in_(one for _, one in members[-MOST_TURNS:]))
                .where(~_items.c.is_output)
                .order_by(_items.c.position)
            ):
                inputs.setdefault(item.response_id, []).append(StoredItem(item.id, item.body))
            turns = [
                StoredTurn(rows.to_response(row), inputs.get(row.id, []))
                for row in on.execute(query)
            ]
            return sorted(turns, key=_place)

        return await self._shared.read(work)

    async def delete(self, id: str) -> int:
        """How many responses went, with their items and events. Raises ResponseNotFoundError."""

        def work(on: Connection) -> list[str]:
            rows.read_response(on, self.owner, id)
            gone = [one for _, one in _members(on, self.owner, id)]
            on.execute(delete(_responses).where(_responses.c.id.in_(gone)))
            return gone

        gone = await self._shared.write(work)
        for one in gone:
            self._shared.news.tell(one)
        return len(gone)


def _place(turn: StoredTurn) -> tuple[float, float]:
    """Times of beginning may be whole seconds; what goes on from a response began after its end."""
    return turn.response.created_at, turn.response.ended_at or inf


def _members(on: Connection, owner: str, id: str) -> Sequence[tuple[float, str]]:
    """When each response of the thread was made, and its id."""
    return [
        (row.created_at, row.id)
        for root, found in _threads(on, owner).items()
        if root == id
        for row in found
    ]


def _page(
    on: Connection, owner: str, page: PageRequest, search: ThreadSearch | None
) -> Page[StoredThread]:
    threads = _threads(on, owner)
    if search is not None:
        said = _saying(on, owner, search)
        threads = {id: found for id, found in threads.items() if any(r.id in said for r in found)}
    order = sorted(threads, key=lambda id: _changed_at(threads[id]), reverse=True)
    start = 0
    if page.after is not None:
        if page.after not in threads:
            raise InvalidRequestError(f"There is no thread '{page.after}' here.", param="after")
        start = order.index(page.after) + 1
    shown = order[start : start + page.limit]
    firsts = _first_items(on, shown)
    entries = [
        StoredThread(
            id,
            min(row.created_at for row in threads[id]),
            _changed_at(threads[id]),
            len(threads[id]),
            any(row.worker is not None for row in threads[id]),
            firsts.get(id),
        )
        for id in shown
    ]
    return Page(entries, has_more=start + page.limit < len(order))


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    previous_id: str | None
    created_at: float
    ended_at: float | None
    worker: str | None
    thread_id: str | None


def _threads(on: Connection, owner: str) -> Mapping[str, Sequence[_Row]]:
    """The owner's newest responses by the first of their thread that is among them."""
    columns = (_responses.c[name] for name in _Row.__slots__)
    query = (
        select(*columns)
        .where(_responses.c.owner == owner, _responses.c.conversation_id.is_(None))
        .order_by(_responses.c.created_at.desc())
        .limit(MOST_RESPONSES)
    )
    found = {row.id: _Row(*row) for row in on.execute(query)}
    threads: dict[str, list[_Row]] = {}
    roots: dict[str, str] = {}
    for row in found.values():
        path = []
        id = row.id
        while id not in roots:
            path.append(id)
            previous = found[id].previous_id
            if previous is None or previous not in found:
                begun = found[id].thread_id
                roots[id] = begun if begun is not None and begun in found else id
            else:
                id = previous
        for one in path:
            roots[one] = roots[id]
        threads.setdefault(roots[row.id], []).append(row)
    return threads


def _changed_at(thread: Sequence[_Row]) -> float:
    return max(row.ended_at or row.created_at for row in thread)


def _saying(on: Connection, owner: str, search: ThreadSearch) -> frozenset[str]:
    """The responses that say what is looked for, in what they answer or in what they say."""
    query = (
        select(_items.c.response_id, _items.c.body)
        .join(_responses, _responses.c.id == _items.c.response_id)
        .where(_responses.c.owner == owner)
        .where(_items.c.body.icontains(search.words, autoescape=True))
        .limit(MOST_RESPONSES)
    )
    return frozenset(row.response_id for row in on.execute(query) if search.says(row.body))


def _first_items(on: Connection, ids: Sequence[str]) -> Mapping[str, StoredItem]:
    query = select(_items.c.response_id, _items.c.id, _items.c.body).where(
        _items.c.response_id.in_(ids), _items.c.position == 0
    )
    return {row.response_id: StoredItem(row.id, row.body) for row in on.execute(query)}
