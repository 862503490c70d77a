"""What a model is given to answer from: numbered sources, in an order that stays. Pure.

The order is for the engine, which computes a prompt only from where it differs from an earlier one:
sources of earlier turns keep their place and number, new ones follow by document and position,
whatever their rank. Where room is short, the best of the present question come first, then earlier
ones from the first on.

Covers: a document that closes its delimiter, opens another, or imitates one in its title. Does not
cover: words that merely persuade the model, and signs that only look like a `<`. Control tokens in
documents are the chat template's business.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol, TypeVar

from llm_api.core.rag.types import Chunk
from llm_api.core.rag.vector_store import Hit

WIDEST_NUMBER: Final = 999
"""Sources are counted under this one: no smaller number costs more tokens."""

_JOINT_TOKENS: Final = 2  # two texts may have more tokens together than apart

_TAG: Final = re.compile(r"<(?=[\s/\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*source)", re.IGNORECASE)
_ENTITIES: Final = str.maketrans({"<": "&lt;", ">": "&gt;", '"': "'"})


class HasChunk(Protocol):
    @property
    def chunk(self) -> Chunk: ...


Item = TypeVar("Item", bound=HasChunk)


@dataclass(frozen=True, slots=True)
class Source:
    """A hit as a model would read it: `text` without its number, `tokens` with the widest one."""

    hit: Hit
    text: str
    tokens: int

    @property
    def chunk(self) -> Chunk:
        return self.hit.chunk


@dataclass(frozen=True, slots=True)
class Context:
    """The sources that a model is given: `[1]` is the first. `omitted` had no room, best first.

    `tokens` is about what the sources cost, beside the instructions in front of them.
    """

    text: str
    sources: tuple[Hit, ...]
    omitted: tuple[Hit, ...]
    tokens: int


def build_context(
    instructions: str, found: Sequence[Source], earlier: Sequence[Source], room: int
) -> Context:
    """What was found, best first, and the sources of `earlier` turns, within `room` tokens.

    A source is there whole or not at all. `earlier` is in the order of `in_order`. `room` is for
    the sources alone.
    """
    budget = _Budget(room)
    fitting = [source for source in found if budget.takes(source)]
    wanted = {source.chunk.id for source in found}
    others = takewhile(
        budget.takes, (source for source in earlier if source.chunk.id not in wanted)
    )
    kept = {source.chunk.id for source in (*fitting, *others)}
    known = [source for source in earlier if source.chunk.id in kept]
    sources = _unique([*known, *_by_place(fitting)])
    blocks = (numbered(number, source.text) for number, source in enumerate(sources, 1))
    return Context(
        "\n\n".join((instructions, *blocks)),
        tuple(source.hit for source in sources),
        tuple(source.hit for source in found if source.chunk.id not in kept),
        budget.spent,
    )


def in_order(turns: Iterable[Sequence[Hit]]) -> tuple[Hit, ...]:
    """The sources of several turns as they are numbered: each turn's new ones after all before."""
    return _unique([hit for hits in turns for hit in _by_place(hits)])


class _Budget:
    """Tokens that sources may cost."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.spent = 0

    def takes(self, source: Source) -> bool:
        """Whether there is room for it; it is spent then."""
        cost = source.tokens + _JOINT_TOKENS
        if self.spent + cost > self._room:
            return False
        self.spent += cost
        return True


def _by_place(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.chunk.document_id, item.chunk.position))


def _unique(items: Iterable[Item]) -> tuple[Item, ...]:
    """Each chunk where it stands first, as it was found last."""
    return tuple({item.chunk.id: item for item in items}.values())


def source_name(hit: Hit) -> str:
    """What a reader knows a source by: title, headings and page; without any, where it is from."""
    chunk, source = hit.chunk, hit.metadata.get("source")
    origin = source if isinstance(source, str) and source else chunk.document_id
    parts = [part for part in dict.fromkeys((hit.title, *chunk.headings)) if part]
    page = [] if chunk.page is None else [f"page {chunk.page}"]
    return " / ".join([*(parts or [origin]), *page])


def source_text(hit: Hit) -> str:
    """A hit as a model reads it, but for its number."""
    return delimited(attribute("name", source_name(hit)), hit.chunk.text)


def delimited(attributes: str, text: str) -> str:
    """A source's text behind its attributes: nothing in it ends it."""
    return f"{attributes}>\n{_TAG.sub('&lt;', text)}\n</source>"


def attribute(name: str, value: str) -> str:
    """An attribute of a source in one line; nothing where it has no value."""
    line = " ".join(value.split()).translate(_ENTITIES)
    return f'{name}="{line}"' if line else ""


def numbered(number: int, text: str) -> str:
    """A source's text under its number."""
    return f'<source number="{number}" {text}'
