"""Responses, items and events to be stored."""

from collections.abc import Sequence

from llm_api.core.state.records import NewResponse, Outcome, StoredEvent, StoredItem


def item(id: str) -> StoredItem:
    return StoredItem(id, f'{{"id": "{id}"}}')


def items(*ids: str) -> list[StoredItem]:
    return [item(id) for id in ids]


def response(
    id: str = "resp_1",
    *inputs: str,
    previous: str | None = None,
    conversation: str | None = None,
    is_background: bool = False,
) -> NewResponse:
    return NewResponse(
        id, 1_000.0, '{"first": true}', items(*inputs), previous, conversation, is_background
    )


def outcome(*outputs: str) -> Outcome:
    return Outcome("completed", '{"last": true}', items(*outputs))


def events(*numbers: int) -> list[StoredEvent]:
    return [StoredEvent(number, f'{{"n": {number}}}') for number in numbers]


def ids(found: Sequence[StoredItem]) -> list[str]:
    return [one.id for one in found]
