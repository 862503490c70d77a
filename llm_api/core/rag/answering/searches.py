"""The searches that a model asks for while it answers, and the numbers of what they find.

Passages are numbered over all searches of one answer, in the order in which the model comes to see
them; one that is found again keeps its number, and is not shown again. What all of them may cost
the prompt together is bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from llm_api.core.errors import InvalidArgumentsError
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.prompt import WIDEST_NUMBER, numbered, source_text
from llm_api.core.rag.retrieve import Retriever, SearchOptions, in_turn
from llm_api.core.rag.types import Chunk
from llm_api.core.rag.vector_store import Hit

MAX_QUERIES: Final = 4
QUERY_CHARACTERS: Final = 256
"""What a model may ask at once: more would be the answer and not the question."""

_JOINT_TOKENS: Final = 2  # two texts may have more tokens together than apart

CountTokens: TypeAlias = Callable[[Sequence[str]], Awaitable[list[int]]]


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A hit. `number` is what the model knows it by."""

    hit: Hit
    number: int = 0

    @property
    def collection(self) -> str:
        return self.hit.collection

    @property
    def key(self) -> tuple[str, str]:
        return self.collection, self.hit.chunk.id


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that was made; it travels as the value of an `Annotation`.

    `text` is what the model was told of it. `omitted` passages were found as well, and had no room.
    """

    queries: tuple[str, ...]
    found: tuple[FoundPassage, ...] = ()
    omitted: int = 0
    text: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class FoundCitation:
    """What the text so far stands on: `citation` says which words of the passage's document."""

    passage: FoundPassage
    citation: Citation


class DocumentSearches:
    """The searches of one answer in `collections`, each for `options.top_k` passages at most.

    `begin` comes before the first. `question` is searched for beside the model's own queries, once.
    """

    def __init__(
        self, retriever: Retriever, collections: Sequence[str], options: SearchOptions
    ) -> None:
        self._retriever = retriever
        self._options = [replace(options, collection=name) for name in dict.fromkeys(collections)]
        self._most = options.top_k
        self._found: dict[tuple[str, str], FoundPassage] = {}
        self._made: dict[tuple[str, ...], Searched] = {}
        self._turn = asyncio.Lock()
        self._count_tokens: CountTokens = _nothing_counts
        self._room = 0
        self.question: str | None = None

    def begin(self, count_tokens: CountTokens, room: int) -> None:
        """All passages together may have so many tokens as the model counts them."""
        self._count_tokens, self._room = count_tokens, room

    def chunks(self) -> list[Chunk]:
        """What can be cited, `[1]` first."""
        return [one.hit.chunk for one in self._found.values()]

    def placed(self, citation: Citation) -> FoundCitation:
        """A citation as one of what was found."""
        return FoundCitation([*self._found.values()][citation.number - 1], citation)

    def made(self, queries: tuple[str, ...]) -> Searched | None:
        """The search that the model asked for by these queries; None where it failed."""
        return self._made.get(queries)

    async def asked(self, queries: tuple[str, ...]) -> Searched:
        """The search that the model asks for. Raises what retrieval raises."""
        question, self.question = self.question, None
        wanted = queries if question is None else (question, *queries)
        self._made[queries] = await self.search(wanted)
        return self._made[queries]

    async def search(self, queries: Iterable[str]) -> Searched:
        """The best passages for any of the queries. Raises what retrieval raises."""
        named = {query.casefold(): query for query in reversed([*queries])}
        wanted = tuple(reversed(named.values()))
        rankings = await asyncio.gather(
            *(self._retriever.search(query, how) for query in wanted for how in self._options)
        )
        passages = [FoundPassage(hit) for hit in in_turn(rankings)[: self._most]]
        async with self._turn:
            return await self._shown(wanted, passages)

    async def _shown(self, queries: tuple[str, ...], passages: Sequence[FoundPassage]) -> Searched:
        """Number what there is room for, and say it as the model reads it."""
        texts = [source_text(one.hit) for one in passages]
        costs = await self._count_tokens([numbered(WIDEST_NUMBER, text) for text in texts])
        found: list[FoundPassage] = []
        told: list[str] = []
        for passage, text, cost in zip(passages, texts, costs, strict=True):
            if passage.key in self._found:
                number = self._found[passage.key].number
                told.append(f'<source number="{number}">as above</source>')
            elif cost + _JOINT_TOKENS > self._room:
                continue
            else:
                self._room -= cost + _JOINT_TOKENS
                number = len(self._found) + 1
                self._found[passage.key] = replace(passage, number=number)
                told.append(numbered(number, text))
            found.append(replace(passage, number=number))
        omitted = len(passages) - len(found)
        return Searched(queries, tuple(found), omitted, _told(told, omitted))


def read_queries(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """The queries of a call. Raises InvalidArgumentsError. Pure."""
    given = arguments.get("queries", arguments.get("query"))
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list):
        raise InvalidArgumentsError("'queries' is a list of texts to look for.", param="queries")
    said = [" ".join(one.split())[:QUERY_CHARACTERS] for one in listed if isinstance(one, str)]
    queries = tuple(dict.fromkeys(one for one in said if one))[:MAX_QUERIES]
    if not queries:
        raise InvalidArgumentsError("'queries' has no text to look for.", param="queries")
    return queries


async def _nothing_counts(texts: Sequence[str]) -> list[int]:
    return [0 for _ in texts]


def _told(sources: Sequence[str], omitted: int) -> str:
    if sources:
        return "\n\n".join(sources)
    return "There is no room for what was found." if omitted else "Nothing was found."
