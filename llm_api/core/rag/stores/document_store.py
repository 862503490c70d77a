"""The `VectorStore` over any engine: who may do what when, and what is refused.

How a write outlives a crash is in `writing`, how a search sees whole documents only in `reading`.
"""

import asyncio
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache
from uuid import UUID

from llm_api.core.errors import (
    CollectionDamagedError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmbeddingMismatchError,
    InvalidRequestError,
    LLMAPIError,
)
from llm_api.core.rag.bm25 import Bm25
from llm_api.core.rag.filters import EVERYTHING, Filter, HasValue, leaves
from llm_api.core.rag.matching import matches
from llm_api.core.rag.metadata import check_metadata, is_unicode
from llm_api.core.rag.stores import layout, reading, writing
from llm_api.core.rag.stores.points import AllOf, Condition, Points, Recipe, StoreEngine, ranges
from llm_api.core.rag.stores.ranking import Question
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import (
    FIRST_RULE,
    Collection,
    DocumentPage,
    DocumentRecord,
    EmbeddingModel,
    Hit,
    NewDocument,
    SearchQuery,
    TunedSearch,
    Written,
)

log = logging.getLogger(__name__)

MAX_ID = 512
MAX_TITLE = 4096
_COLLECTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DELETED_AT_ONCE = 256


class DocumentStore:
    """Documents in the collections of `engine`. `clock` gives Unix seconds.

    Changes of a collection wait for their turn; searches do not.
    """

    def __init__(self, engine: StoreEngine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._bm25 = cache(Bm25)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def recover(self, older_than_seconds: float) -> None:
        """Clean up after writes that began so long ago and have not ended."""
        for name in await self._engine.names():
            try:
                points = self._engine.points(name)
                await writing.clean_up(points, self._clock() - older_than_seconds)
            except CollectionDamagedError:
                continue
            except LLMAPIError:
                raise
            except Exception:  # of one collection: the others are cleaned up nevertheless
                log.exception("the collection %r cannot be cleaned up", name)

    async def create_collection(self, name: str, embedding: EmbeddingModel) -> None:
        _check_collection_name(name)
        async with self._turns[name]:
            if name not in await self._engine.names():
                await self._engine.create(name, Recipe(embedding))
                return
        _check_embedding(name, (await self._engine.recipe(name)).embedding, embedding)

    async def describe_collection(self, name: str, within: Filter = EVERYTHING) -> Collection:
        recipe = await self._engine.recipe(name)
        if (damage := await self._engine.damage(name)) is not None:
            return Collection(name, recipe.embedding, None, None, recipe.words, damage)
        points = self._engine.points(name)
        where = await self._condition(name, within)
        documents = await points.count(AllOf((layout.DOCUMENTS, where)))
        chunks = await points.count(AllOf((layout.CHUNKS, where)))
        tuned = await reading.read_tuning(points)
        return Collection(name, recipe.embedding, documents, chunks, recipe.words, tuned=tuned)

    async def read_tuning(self, collection: str) -> TunedSearch | None:
        return await reading.read_tuning(await self._points(collection))

    async def write_tuning(self, collection: str, tuned: TunedSearch | None) -> None:
        async with self._turns[collection]:
            points = await self._points(collection)
            if tuned is None:
                await points.delete([layout.TUNING_ID])
            else:
                await points.upsert([layout.tuning_point(tuned)])
            await points.flush()

    async def list_collections(self) -> tuple[Collection, ...]:
        names = sorted(await self._engine.names())
        described = [await self._described(name) for name in names]
        return tuple(one for one in described if one is not None)

    async def _described(self, name: str) -> Collection | None:
        """Of several: one that fails, or was deleted meanwhile, keeps nobody from the others."""
        try:
            return await self.describe_collection(name)
        except CollectionNotFoundError:
            return None
        except LLMAPIError:
            raise
        except Exception:
            log.exception("the collection %r cannot be described", name)
            recipe = await self._engine.recipe(name)
            damage = "it cannot be read; the log says why"
            return Collection(name, recipe.embedding, None, None, recipe.words, damage)

    async def delete_collection(self, name: str) -> None:
        async with self._turns[name]:
            await self._engine.drop(name)

    async def rename_collection(self, name: str, new_name: str) -> None:
        _check_collection_name(new_name)
        async with AsyncExitStack() as turns:
            for one in sorted({name, new_name}):
                await turns.enter_async_context(self._turns[one])
            await self._engine.rename(name, new_name)

    async def replace_documents(
        self,
        collection: str,
        model: str,
        documents: Sequence[NewDocument],
        within: Filter = EVERYTHING,
    ) -> tuple[Written, ...]:
        _check_documents(documents)
        async with self._turns[collection]:
            recipe = await self._engine.recipe(collection)
            for length in {len(one.vector) for new in documents for one in new.chunks}:
                _check_embedding(collection, recipe.embedding, EmbeddingModel(model, length))
            points = self._engine.points(collection)
            records = await reading.read_records(points, [new.document.id for new in documents])
            _check_free(records, within)
            changed = [new for new in documents if _what_happened(new, records) != "unchanged"]
            writes = await asyncio.to_thread(writing.plan_writes, changed, records, self._clock())
            if writes:
                await writing.carry_out(points, writes, self._bm25(recipe.words))
        return tuple(_what_happened(new, records) for new in documents)

    async def delete_documents(
        self, collection: str, ids: Sequence[str], within: Filter = EVERYTHING
    ) -> int:
        distinct, deleted = list(dict.fromkeys(ids)), 0
        async with self._turns[collection]:
            points = await self._points(collection)
            for start in range(0, len(distinct), _DELETED_AT_ONCE):
                batch = distinct[start : start + _DELETED_AT_ONCE]
                found = await reading.read_records(points, batch)
                records = {id: one for id, one in found.items() if matches(within, one.metadata)}
                await writing.delete(points, records, self._clock())
                deleted += len(records)
        return deleted

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        deleted = 0
        async with self._turns[collection]:
            where = AllOf((layout.DOCUMENTS, await self._condition(collection, filter)))
            points = self._engine.points(collection)
            while found := (await points.scroll(where, _DELETED_AT_ONCE))[0]:
                records = [layout.read_document(one.payload) for one in found.values()]
                await writing.delete(
                    points, {one.document_id: one for one in records}, self._clock()
                )
                deleted += len(records)
        return deleted

    async def update_metadata(
        self,
        collection: str,
        document_id: str,
        metadata: Metadata,
        title: str | None = None,
        within: Filter = EVERYTHING,
    ) -> DocumentRecord:
        check_metadata(metadata)
        _check_text(title or "", MAX_TITLE, "title")
        async with self._turns[collection]:
            points = await self._points(collection)
            record = await reading.read_record(points, document_id)
            if not matches(within, record.metadata):
                raise DocumentNotFoundError(f"There is no document {document_id!r}.")
            ids = [layout.record_id(document_id), *record.written().chunk_ids()]
            title = record.title if title is None else title
            await points.set_payload(ids, layout.metadata_payload(metadata, title))
            await points.flush()
            return (await reading.read_record(points, document_id)).record()

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        return (await reading.read_record(await self._points(collection), document_id)).record()

    async def get_documents(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, DocumentRecord]:
        found = await reading.read_records(await self._points(collection), ids)
        return {id_: record.record() for id_, record in found.items()}

    async def read_document(self, collection: str, document_id: str) -> Document:
        return await reading.read_document(await self._points(collection), document_id)

    async def list_documents(
        self, collection: str, filter: Filter, cursor: str | None, limit: int
    ) -> DocumentPage:
        where = AllOf((layout.DOCUMENTS, await self._condition(collection, filter)))
        points = self._engine.points(collection)
        found, following = await points.scroll(where, limit, _check_cursor(cursor))
        records = (layout.read_document(one.payload).record() for one in found.values())
        return DocumentPage(tuple(records), following)

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        recipe = await self._engine.recipe(collection)
        if query.vector is not None:
            asked = EmbeddingModel(query.vector.model, len(query.vector.values))
            _check_embedding(collection, recipe.embedding, asked)
        points = self._engine.points(collection)
        where = await self._condition(collection, query.filter)
        if keys := {part.key for part in ranges(where)}:
            await points.index_numbers(keys)
        return await reading.search(
            points, self._question(query, recipe.words), where, with_vectors=query.with_vectors
        )

    def _question(self, query: SearchQuery, rule: int) -> Question:
        dense = None if query.vector is None else query.vector.values
        sparse = None if query.mode == "dense" else self._bm25(rule).query(query.text)
        return Question(
            query.mode,
            dense,
            sparse,
            query.top_k,
            query.score_threshold,
            query.weights,
            query.takes_all,
            query.neighbours,
        )

    async def _condition(self, collection: str, filter: Filter) -> Condition:
        """Raises InvalidRequestError where the collection does not know what fields there are."""
        rule = (await self._engine.recipe(collection)).words
        if rule == FIRST_RULE and any(isinstance(one, HasValue) for one in leaves(filter)):
            raise InvalidRequestError(
                "This collection was made before filters took null; run `llm-api rag reindex`.",
                param="filter",
            )
        return layout.condition(filter)

    async def _points(self, collection: str) -> Points:
        await self._engine.recipe(collection)  # which says if there is none
        return self._engine.points(collection)


def _what_happened(new: NewDocument, records: dict[str, layout.StoredDocument]) -> Written:
    """Given the records of before."""
    record = records.get(new.document.id)
    stored_hash = None if record is None else record.content_hash
    if new.replaces is not None and new.replaces != stored_hash:
        return "unchanged"
    if record is None:
        return "created"
    return "unchanged" if record.content_hash == new.content_hash else "replaced"


def _check_free(records: dict[str, layout.StoredDocument], within: Filter) -> None:
    for document_id, record in records.items():
        if not matches(within, record.metadata):
            raise InvalidRequestError(
                f"The id {document_id!r} cannot be used here: choose another one.", param="id"
            )


def _check_embedding(name: str, stored: EmbeddingModel, given: EmbeddingModel) -> None:
    if given != stored:
        raise EmbeddingMismatchError(
            f"Collection {name!r} holds vectors of {stored.model!r} with {stored.dimension} "
            f"dimensions, not of {given.model!r} with {given.dimension}: embed it again with "
            f"`llm-api rag reindex`."
        )


def _check_collection_name(name: str) -> None:
    if not _COLLECTION_NAME.fullmatch(name):
        raise InvalidRequestError(
            "A collection's name has 1 to 64 letters, digits, '-' and '_'.", param="collection"
        )


def _check_documents(documents: Sequence[NewDocument]) -> None:
    ids = [new.document.id for new in documents]
    if len(set(ids)) < len(ids):
        raise InvalidRequestError("A document's id is given twice.", param="id")
    for new in documents:
        if not new.document.id:
            raise InvalidRequestError("A document has an id.", param="id")
        _check_text(new.document.id, MAX_ID, "id")
        _check_text(new.document.title, MAX_TITLE, "title")
        check_metadata(new.document.metadata)


def _check_text(text: str, longest: int, param: str) -> None:
    if len(text) > longest or not is_unicode(text):
        message = f"A document's {param} is valid Unicode of at most {longest} characters."
        raise InvalidRequestError(message, param=param)


def _check_cursor(cursor: str | None) -> str | None:
    try:
        return None if cursor is None else str(UUID(cursor))
    except ValueError:
        message = "This cursor is none that a page of documents gave."
        raise InvalidRequestError(message, param="cursor") from None
