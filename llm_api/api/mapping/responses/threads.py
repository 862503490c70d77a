"""Threads on the wire: how they are named, what is found in them, and all that is in one. Pure."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from llm_api.api.mapping.responses.stored import shown_response
from llm_api.api.models.responses.threads import ListedThread, ThreadList
from llm_api.core.state.records import Page, StoredItem, StoredThread, StoredTurn, ThreadSearch

TITLE_CHARACTERS: Final = 100


def to_thread_list(page: Page[StoredThread]) -> ThreadList:
    data = [_listed(thread) for thread in page.entries]
    return ThreadList(
        object="list",
        data=data,
        first_id=data[0].id if data else "",
        last_id=data[-1].id if data else "",
        has_more=page.has_more,
    )


def _listed(thread: StoredThread) -> ListedThread:
    return ListedThread(
        id=thread.id,
        object="response.thread",
        title=_title(thread.first),
        created_at=int(thread.created_at),
        updated_at=int(thread.updated_at),
        responses=thread.responses,
        status="in_progress" if thread.is_running else "ended",
    )


def _title(first: StoredItem | None) -> str:
    words = "" if first is None else " ".join(" ".join(_texts(json.loads(first.body))).split())
    return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1] + "…"


def whole_thread(id: str, turns: Sequence[StoredTurn]) -> str:
    """A thread as JSON text: each response, with what it answers."""
    data = ",".join(
        f'{{"input":[{",".join(one.body for one in turn.inputs)}]'
        f',"response":{shown_response(turn.response)}}}'
        for turn in turns
    )
    return f'{{"id":{json.dumps(id)},"object":"response.thread","data":[{data}]}}'


def to_search(query: str) -> ThreadSearch:
    """What looks for words in the texts of items, whatever their case."""
    folded = query.casefold()

    def says(body: str) -> bool:
        return any(folded in text.casefold() for text in _texts(json.loads(body)))

    return ThreadSearch(json.dumps(query, ensure_ascii=False)[1:-1], says)


def _texts(item: dict[str, Any]) -> Iterator[str]:
    """What an item says: its own texts, and those of its parts."""
    for name in ("content", "output", "arguments"):
        match item.get(name):
            case str() as text:
                yield text
            case list() as parts:
                yield from (one["text"] for one in parts if isinstance(one.get("text"), str))
            case _:
                pass
