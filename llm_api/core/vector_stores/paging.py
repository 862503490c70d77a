"""Pages of what is ordered by when it was made, with cursors in both directions. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import Order, Page

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class StoreWindow:
    """At most `limit` entries: those behind the one with the id `after`, or those `before` one."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


def window_of(
    entries: Sequence[Entry], key: Callable[[Entry], tuple[float, str]], window: StoreWindow
) -> Page[Entry]:
    """Entries by `key`, a moment and an id. Raises InvalidRequestError for an unknown cursor."""
    ordered = sorted(entries, key=key, reverse=window.order == "desc")
    places = {key(one)[1]: place for place, one in enumerate(ordered)}
    start, end = 0, len(ordered)
    if window.after is not None:
        start = _place(places, window.after, "after") + 1
    if window.before is not None:
        end = _place(places, window.before, "before")
    within = ordered[start:end]
    is_backward = window.before is not None and window.after is None
    chosen = within[-window.limit :] if is_backward else within[: window.limit]
    return Page(chosen, has_more=len(within) > window.limit)


def _place(places: dict[str, int], id: str, param: str) -> int:
    if id not in places:
        raise InvalidRequestError(f"There is nothing with the id '{id}' here.", param=param)
    return places[id]
