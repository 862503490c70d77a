"""Responses and their items as they are stored, and as they are shown again. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pydantic import TypeAdapter

from llm_api.api.mapping.responses.fold import NewId
from llm_api.api.mapping.responses.turns import PlacedItem
from llm_api.api.models.responses import stream_events as wire
from llm_api.api.models.responses.items import (
    CallOutputItem,
    FunctionCallItem,
    InputItem,
    MessageItem,
)
from llm_api.api.models.responses.response import ResponseObject
from llm_api.core.state.records import (
    UNFINISHED,
    Ended,
    Outcome,
    Page,
    StoredEvent,
    StoredItem,
    StoredResponse,
)

_ITEM: Final[TypeAdapter[InputItem]] = TypeAdapter(InputItem)

_ID_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
    "file_search_call": "fs",
}
_OTHERS: Final = "item"

LOST: Final = "The process that made this response has ended; create it anew."


def to_stored_items(items: Sequence[InputItem], new_id: NewId) -> list[StoredItem]:
    """Items as they are stored, each with an id, and in the full form that they are shown in."""
    stored = []
    for item in items:
        fields = _full(item)
        fields["id"] = item.id or new_id(_ID_PREFIXES.get(fields["type"], _OTHERS))
        stored.append(StoredItem(fields["id"], json.dumps(fields, ensure_ascii=False)))
    return stored


def from_stored_items(stored: Sequence[StoredItem], param: str) -> list[PlacedItem]:
    """Stored items as input; `param` is the parameter that brings them."""
    return [
        PlacedItem(_ITEM.validate_json(one.body), f"{param}[{index}]")
        for index, one in enumerate(stored)
    ]


def to_outcome(response: ResponseObject) -> Outcome:
    """How a response ended. Raises ValueError for one that has not."""
    if response.status in UNFINISHED:
        raise ValueError("the response has not ended")
    output = [StoredItem(item.id, item.to_json()) for item in response.output]
    return Outcome(cast(Ended, response.status), response.to_json(), output)


def to_stored_events(events: Sequence[wire.ResponseEvent]) -> list[StoredEvent]:
    return [StoredEvent(event.sequence_number, event.to_json()) for event in events]


def shown_response(stored: StoredResponse) -> str:
    """The response as JSON text."""
    return json.dumps(_lost(stored)) if stored.is_lost else stored.body


def lost_event(stored: StoredResponse) -> StoredEvent:
    """The last event of a response whose process has ended, which could not store it."""
    number = 0 if stored.last_event is None else stored.last_event + 1
    event = {"type": "response.failed", "sequence_number": number, "response": _lost(stored)}
    return StoredEvent(number, json.dumps(event))


def item_list(page: Page[StoredItem]) -> str:
    """A page of items as JSON text."""
    ids = [one.id for one in page.entries]
    ends = {
        "first_id": ids[0] if ids else "",
        "last_id": ids[-1] if ids else "",
        "has_more": page.has_more,
    }
    data = ",".join(one.body for one in page.entries)
    return f'{{"object":"list","data":[{data}],{json.dumps(ends)[1:]}'


def _lost(stored: StoredResponse) -> dict[str, Any]:
    response: dict[str, Any] = json.loads(stored.body)
    return {**response, "status": "failed", "error": {"code": "server_error", "message": LOST}}


def _full(item: InputItem) -> dict[str, Any]:
    fields = item.to_wire()
    match item:
        case MessageItem():
            fields["type"] = "message"
            fields["status"] = "completed"
            if isinstance(item.content, str):
                fields["content"] = [_part(item.role, item.content)]
        case FunctionCallItem() | CallOutputItem():
            fields["status"] = "completed"
        case _:
            pass
    return fields


def _part(role: str, text: str) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}
