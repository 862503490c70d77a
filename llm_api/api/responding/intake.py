"""What a request for a response brings together: its items, those before it, the texts of files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_api.api.given_files import GivenFiles
from llm_api.api.mapping.generation import refuse
from llm_api.api.mapping.responses.generation import conversation_id
from llm_api.api.mapping.responses.stored import from_stored_items
from llm_api.api.mapping.responses.turns import PlacedItem, placed
from llm_api.api.models.responses.items import (
    CallOutputItem,
    InputItem,
    InputPart,
    ItemReference,
    MessageItem,
)
from llm_api.api.models.responses.parameters import PromptParameters
from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import StoredItem

if TYPE_CHECKING:
    from llm_api.core.state.opened import OwnedState


@dataclass(frozen=True, slots=True)
class GivenItems:
    """Items in their order: `before` are stored already, `own` came with this request."""

    before: Sequence[PlacedItem]
    own: Sequence[PlacedItem]

    @property
    def items(self) -> list[PlacedItem]:
        return [*self.before, *self.own]


def needs_state(request: PromptParameters) -> bool:
    """Whether what is asked refers to what is stored."""
    return (
        request.previous_response_id is not None
        or request.conversation is not None
        or any(isinstance(one, ItemReference) for one in _own_items(request))
    )


async def take_in(request: PromptParameters, state: "OwnedState | None") -> GivenItems:
    """All items that a request is about; references are what they refer to.

    Raises ResponseNotFoundError, ConversationNotFoundError; InvalidRequestError for a reference to
    nothing, and for a response that is being made.
    """
    own = placed(_own_items(request))
    if state is None:
        return GivenItems((), own)
    stored, param = await _before(request, state)
    known = {one.id: one for one in stored}
    wanted = [
        one.item.id
        for one in own
        if isinstance(one.item, ItemReference) and one.item.id not in known
    ]
    if wanted:
        known |= await state.responses.find_items(wanted)
    return GivenItems(from_stored_items(stored, param), [_referred(one, known) for one in own])


async def _before(
    request: PromptParameters, state: "OwnedState"
) -> tuple[Sequence[StoredItem], str]:
    """What was said before, and the parameter that says so."""
    conversation, previous = conversation_id(request), request.previous_response_id
    if conversation is not None:
        return await state.conversations.all_items(conversation), "conversation"
    if previous is None:
        return (), ""
    if not (await state.responses.get(previous)).has_ended:
        raise InvalidRequestError(
            f"The response '{previous}' has not ended yet; wait for it, or cancel it.",
            param="previous_response_id",
        )
    return await state.responses.history(previous), "previous_response_id"


def _referred(one: PlacedItem, known: Mapping[str, StoredItem]) -> PlacedItem:
    if not isinstance(one.item, ItemReference) or one.item.id not in known:
        return one
    (found,) = from_stored_items([known[one.item.id]], one.path)
    return PlacedItem(found.item, one.path)


def _own_items(request: PromptParameters) -> Sequence[InputItem]:
    if request.input is None:
        return ()
    if isinstance(request.input, str):
        return (MessageItem(role="user", content=request.input),)
    return request.input


async def read_files(items: Sequence[PlacedItem], given: GivenFiles) -> dict[str, str]:
    """The texts of the files among the items, by the paths of their parts.

    Raises as `GivenFiles.text`, and UnsupportedParameterError for a file that lies elsewhere.
    """
    texts = {}
    for part, path in _files(items):
        if part.file_url is not None:
            refuse(f"{path}.file_url", "is not available: send the file itself as 'file_data'.")
        texts[path] = await given.text(part, path)
    return texts


def _files(items: Sequence[PlacedItem]) -> Iterator[tuple[InputPart, str]]:
    for one in items:
        match one.item:
            case MessageItem(content=list(parts)):
                path = f"{one.path}.content"
            case CallOutputItem(output=list(parts)):
                path = f"{one.path}.output"
            case _:
                continue
        for index, part in enumerate(parts):
            if part.type == "input_file":
                yield part, f"{path}[{index}]"
