"""Pages of items, in the order of their positions."""

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import Page, PageRequest, StoredItem


def page_of(
    on: Connection, table: Table, page: PageRequest, *conditions: ColumnElement[bool]
) -> Page[StoredItem]:
    """Raises InvalidRequestError where there is no item `page.after`."""
    position = table.c.position
    query = select(table.c.id, table.c.body).where(*conditions)
    if page.after is not None:
        start = on.execute(
            select(position).where(*conditions, table.c.id == page.after).limit(1)
        ).scalar()
        if start is None:
            raise InvalidRequestError(f"There is no item '{page.after}' here.", param="after")
        query = query.where(position > start if page.order == "asc" else position < start)
    ordered = query.order_by(position if page.order == "asc" else position.desc())
    rows = on.execute(ordered.limit(page.limit + 1)).all()
    entries = [StoredItem(row.id, row.body) for row in rows[: page.limit]]
    return Page(entries, has_more=len(rows) > page.limit)
