"""Web pages as documents: fetched, read by the loaders, known by the URL they were found at."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final, TypeAlias

import httpx2

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidRequestError,
    UpstreamError,
)
from llm_api.core.rag.files import DIGEST_FIELD
from llm_api.core.rag.identity import is_carried
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.reports import DocumentOutcome, failed
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import DocumentRecord, VectorStore
from llm_api.core.rag.web.fetcher import FetchedPage, Fetcher, Validators
from llm_api.core.rag.web.hosts import page_url
from llm_api.core.rag.web.robots import Robots
from llm_api.core.utils.long_work import to_the_end

URL_FIELD: Final = "url"
FETCHED_FIELD: Final = "fetched_at"
ETAG_FIELD: Final = "etag"
MODIFIED_FIELD: Final = "last_modified"

AT_ONCE: Final = 8
"""Pages of one ingest that are fetched, and stand in memory, at the same time."""

_EXTENSIONS: Final = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/xml": "xml",
    "application/xml": "xml",
    "application/json": "json",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "text/rtf": "rtf",
    "application/epub+zip": "epub",
    "message/rfc822": "eml",
}
_BY_CONTENT: Final = ("application/octet-stream", "application/vnd.", "application/zip")
_BY_NAME: Final = ("text/plain", *_BY_CONTENT)


@dataclass(frozen=True, slots=True)
class PageToIngest:
    """`url` is as it was asked for."""

    url: str
    metadata: Metadata


PageReport: TypeAlias = Callable[[str, DocumentOutcome], None]
"""Is told of each page once: the URL that was asked for, and what became of its document, whose id
is that URL where there is none."""


class PageReading:
    """Pages as the documents of one ingest into `collection`, which reports to `report`."""

    def __init__(
        self,
        fetcher: Fetcher,
        loader: FileLoader,
        store: VectorStore,
        collection: str,
        report: PageReport,
    ) -> None:
        self._fetcher = fetcher
        self._robots = Robots(fetcher)
        self._loader = loader
        self._store = store
        self._collection = collection
        self._report = report
        self._asked: dict[str, str] = {}  # the URLs that were asked for, by document
        self._warnings: dict[str, tuple[str, ...]] = {}

    async def documents(self, pages: Sequence[PageToIngest]) -> AsyncGenerator[Document, None]:
        """The pages that have changed and can be read; the others are reported."""
        for start in range(0, len(pages), AT_ONCE):
            for document in await self._together(pages[start : start + AT_ONCE]):
                if document is not None:
                    yield document

    def report(self, outcome: DocumentOutcome) -> None:
        """Report what became of a document, and what of its page is not in it."""
        id = outcome.document_id
        warnings = self._warnings.pop(id, ())
        self._report(self._asked[id], replace(outcome, warnings=warnings))

    async def _together(self, pages: Sequence[PageToIngest]) -> list[Document | None]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._document(one)) for one in pages]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    async def _document(self, page: PageToIngest) -> Document | None:
        """None where there is nothing to store, which is reported."""
        try:
            url = page_url(page.url)
            fetched = await self._fetcher.fetch(
                url, self._validators, allow=self._robots.check, accepts=_check_type
            )
            return await self._loaded(page, fetched)
        except (InvalidRequestError, UpstreamError) as error:
            self._report(page.url, failed(page.url, error))
        return None

    async def _loaded(self, page: PageToIngest, fetched: FetchedPage) -> Document | None:
        url, data = fetched.url, fetched.data
        if not is_carried(url):
            raise InvalidRequestError("Its URL cannot be the id of a document.")
        record = await self._record(url)
        digest = None if data is None else (await asyncio.to_thread(sha256, data)).hexdigest()
        is_known = record is not None and digest in (None, record.metadata.get(DIGEST_FIELD))
        if record is not None and is_known:
            kept = {**record.metadata, **page.metadata, **_facts(fetched)}
            await to_the_end(self._store.update_metadata(self._collection, url, kept))
        if is_known or url in self._asked:  # unchanged, or two URLs have led to it
            outcome = DocumentOutcome(url, "unchanged", record.chunks if record else 0)
            self._report(page.url, outcome)
            return None
        if data is None or digest is None:
            raise UpstreamError("It was deleted while it was asked for; try again.")
        self._asked[url] = page.url
        loaded = await self._loader.load(data, _label(fetched), fetched.charset)
        self._warnings[url] = loaded.warnings
        metadata = {
            **loaded.metadata,
            "source": url,
            DIGEST_FIELD: digest,
            **page.metadata,
            **_facts(fetched),
        }
        return Document(url, loaded.text, loaded.title, metadata, loaded.sections)

    async def _validators(self, url: str) -> Validators:
        record = await self._record(url)
        if record is None or DIGEST_FIELD not in record.metadata:
            return Validators()
        said = record.metadata
        return Validators(str(said.get(ETAG_FIELD, "")), str(said.get(MODIFIED_FIELD, "")))

    async def _record(self, url: str) -> DocumentRecord | None:
        try:
            return await self._store.get_document(self._collection, url)
        except (DocumentNotFoundError, CollectionNotFoundError):
            return None


def _facts(page: FetchedPage) -> Mapping[str, str]:
    said = page.validators
    facts = {
        URL_FIELD: page.url,
        FETCHED_FIELD: datetime.now(UTC).isoformat(timespec="seconds"),
        ETAG_FIELD: said.etag,
        MODIFIED_FIELD: said.last_modified,
    }
    return {name: value for name, value in facts.items() if value}


def _check_type(media_type: str, _url: str) -> None:
    """Raises InvalidRequestError for what no loader reads, before it is fetched."""
    if media_type not in _EXTENSIONS and not media_type.startswith(_BY_CONTENT):
        raise InvalidRequestError(f"A page of the type {media_type} is not supported.")


def _label(page: FetchedPage) -> str:
    """A name by which loaders know what it is."""
    name = PurePosixPath(httpx2.URL(page.url).path).name
    if page.media_type.startswith(_BY_NAME) and PurePosixPath(name).suffix:
        return name
    return f"page.{_EXTENSIONS.get(page.media_type, 'txt')}"
