"""Files as documents: each under its name, with what is known of it as metadata."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from email.message import Message
from hashlib import sha256
from pathlib import PurePosixPath

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.reports import DocumentOutcome, Report, failed
from llm_api.core.rag.types import Document, Metadata

DIGEST_FIELD = "sha256"
"""The metadata field with the hash of the file's bytes: it tells a client of a change."""

ROOT_FIELD = "source_root"
"""The metadata field that tells one folder from another of the same name."""

COMMIT_FIELD = "git_commit"
"""The metadata field with the commit that a file of a repository was read at."""


@dataclass(frozen=True, slots=True)
class FileToIngest:
    """`id` is `document_id(name)`. `read` gives the bytes when its turn has come.

    `charset` is what was declared beside the file, if anything was.
    """

    id: str
    read: Callable[[], Awaitable[bytes]]
    metadata: Metadata
    charset: str = ""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file that fails again as long as its bytes have this SHA-256."""

    id: str
    digest: str
    reason: str


def document_id(name: str) -> str:
    """The id of a file's document: its path as it was given, without ways out of a folder. Pure.

    So the same file, changed, replaces its document. Nothing is ever opened under this name.
    """
    printable = "".join(character for character in name if character.isprintable())
    parts = PurePosixPath(printable.replace("\\", "/")).parts
    return "/".join(part for part in parts if part not in ("/", "..", ".")) or "file"


def declared_charset(content_type: str) -> str:
    """The charset of a header such as `text/csv; charset=windows-1252`; "" for none. Pure."""
    header = Message()
    header["content-type"] = content_type
    return header.get_content_charset("")


class FileReading:
    """Files as the documents of one ingest, which reports to `report`."""

    def __init__(self, loader: FileLoader, files: Iterable[FileToIngest], report: Report) -> None:
        self._loader = loader
        self._files = files
        self._report = report
        self._warnings: dict[str, tuple[str, ...]] = {}
        self._digests: dict[str, str] = {}
        self.unreadable: list[UnreadableFile] = []
        """Those that have failed so far."""

    async def documents(self) -> AsyncGenerator[Document, None]:
        """The files that can be read; the others are reported."""
        for file in self._files:
            data = await file.read()
            digest = (await asyncio.to_thread(sha256, data)).hexdigest()
            self._digests[file.id] = digest
            try:
                loaded = await self._loader.load(data, file.id, file.charset)
            except UnreadableFileError as error:
                self.report(failed(file.id, error))
                continue
            self._warnings[file.id] = loaded.warnings
            metadata = {
                **loaded.metadata,
                "source": file.id,
                DIGEST_FIELD: digest,
                **file.metadata,
            }
            yield Document(file.id, loaded.text, loaded.title, metadata, loaded.sections)

    def report(self, outcome: DocumentOutcome) -> None:
        """Report what became of a document, and what of its file is not in it."""
        warnings = self._warnings.pop(outcome.document_id, ())
        digest = self._digests.pop(outcome.document_id, None)
        if outcome.is_lasting and digest is not None:
            file = UnreadableFile(outcome.document_id, digest, outcome.reason)
            self.unreadable.append(file)
        self._report(replace(outcome, warnings=warnings))
