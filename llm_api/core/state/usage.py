"""What keys use, by day and model. Sees all owners: who may ask for whose is decided before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from llm_api.core.state.records import UsageDay, bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import usage_days

MAX_ROWS: Final = 20_000
_c = usage_days.c
_COUNTS: Final = (_c.requests, _c.prompt_tokens, _c.completion_tokens, _c.cached_tokens)


@dataclass(frozen=True, slots=True)
class UsageRows:
    """A row for each day, owner, kind and model; several processes add to the same."""

    _shared: SharedState

    async def add(self, used: Sequence[UsageDay]) -> None:
        """Add to what is stored of the same days, owners and models."""
        # In one order everywhere, so that two processes do not wait for each other.
        values = sorted(map(_values, used), key=lambda row: str(row["id"]))

        def work(on: Connection) -> None:
            for row in values:
                _add(on, row)

        if values:
            # However full the state is: the rows are few, and what was used was used.
            await self._shared.write(work)

    async def between(
        self, first: date, last: date, owner: str | None = None
    ) -> Sequence[UsageDay]:
        """Of these days, both included, the oldest first; of one owner, or of all."""
        query = select(_c.day, _c.owner, _c.model, _c.kind, *_COUNTS).where(
            _c.day >= first.isoformat(), _c.day <= last.isoformat()
        )
        if owner is not None:
            query = query.where(_c.owner == owner)
        query = query.order_by(_c.day, _c.owner, _c.kind, _c.model).limit(MAX_ROWS)
        rows = await self._shared.read(lambda on: on.execute(query).all())
        return [UsageDay(date.fromisoformat(row[0]), *row[1:]) for row in rows]


def _values(used: UsageDay) -> dict[str, Any]:
    day = used.day.isoformat()
    id = " ".join((day, used.owner, used.kind, used.model))
    return {
        "id": id,
        "day": day,
        "owner": used.owner,
        "model": used.model,
        "kind": used.kind,
        "requests": used.requests,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "cached_tokens": used.cached_tokens,
        "size": 2 * bytes_of(id),
    }


def _add(on: Connection, row: dict[str, Any]) -> None:
    """Insert the row, or add to the one there is: in one statement, since others do the same."""
    dialect = sqlite if on.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(usage_days).values(row)
    added = {count.name: count + insert.excluded[count.name] for count in _COUNTS}
    on.execute(insert.on_conflict_do_update(index_elements=[_c.id], set_=added))
