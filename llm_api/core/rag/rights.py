"""What of the documents somebody may see and change: collections by name, documents by a filter.

Pure. `confined` enforces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal, TypeAlias

from llm_api.core.errors import CollectionNotFoundError, PermissionDeniedError
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.matching import equalities, matches
from llm_api.core.rag.metadata import scalars, tag
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.utils.wildcards import fits

Right: TypeAlias = Literal["read", "write"]
"""Who may write may read."""


@dataclass(frozen=True, slots=True)
class DocumentRights:
    """`collections` are names or patterns (`team-*`), of which the one with most rights holds.

    None stands for every collection. Of each, only documents that match `filter` are there.
    """

    collections: Mapping[str, Right] | None = None
    filter: Filter = EVERYTHING

    @property
    def are_limited(self) -> bool:
        return self.collections is not None or self.are_filtered

    @property
    def are_filtered(self) -> bool:
        """Whether there may be documents in a collection that are not seen."""
        return self.filter != EVERYTHING

    @property
    def digest(self) -> str:
        """The same for the same rights alone; empty where they are not limited."""
        named = None if self.collections is None else sorted(self.collections.items())
        return _digest((named, self.filter)) if self.are_limited else ""

    @property
    def sight(self) -> str:
        """The same for who sees the same documents of a collection; empty for who sees all."""
        return _digest(self.filter) if self.are_filtered else ""

    def may_read(self, collection: str) -> bool:
        return bool(self._of(collection))

    def may_write(self, collection: str) -> bool:
        return "write" in self._of(collection)

    def _of(self, collection: str) -> set[Right]:
        if self.collections is None:
            return {"read", "write"}
        return {right for name, right in self.collections.items() if fits(collection, name)}

    def require_read(self, collection: str) -> None:
        """Raises CollectionNotFoundError: what may not be read is not there."""
        if not self.may_read(collection):
            raise CollectionNotFoundError(
                f"There is no collection {collection!r}.", param="collection"
            )

    def require_write(self, collection: str) -> None:
        """Raises PermissionDeniedError, whether the collection is there or not."""
        if not self.may_write(collection):
            raise PermissionDeniedError(
                f"This API key may not write to the collection {collection!r}.", param="collection"
            )

    def require_choice(self, collection: str) -> None:
        """Raises PermissionDeniedError for who may not say how a collection is searched.

        Raises CollectionNotFoundError as well.
        """
        self.require_read(collection)
        self.require_write(collection)
        if self.are_filtered:
            raise PermissionDeniedError(
                "This API key has a filter, and may not say how a collection is searched that may"
                " hold documents of others.",
                param="collection",
            )

    def admitted(self, document: Document) -> Document:
        """The document as it may be stored. Raises PermissionDeniedError."""
        if not self.are_filtered:
            return document
        return replace(document, metadata=self.marked(document.metadata))

    def marked(self, metadata: Metadata) -> Metadata:
        """The metadata, and what the filter asks for by equality and they do not say.

        Raises PermissionDeniedError for metadata that say something else, or something more: who
        writes a document has to see it afterwards, and puts it before nobody else by that field.
        """
        if not self.are_filtered:
            return metadata
        wanted = equalities(self.filter)
        missing = {name: wanted[name] for name in wanted if metadata.get(name) is None}
        whole = {**metadata, **missing}
        says_more = any(
            tag(name, one) != tag(name, value)
            for name, value in wanted.items()
            for one in scalars(whole[name])
        )
        if says_more or not matches(self.filter, whole):
            raise PermissionDeniedError(
                "This API key may store only documents whose metadata fulfil its filter.",
                param="metadata",
            )
        return whole


EVERY_DOCUMENT: Final = DocumentRights()


def _digest(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()[:16]
