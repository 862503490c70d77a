"""`llm-api ingest`: files and folders into a collection, through a server or without one."""

import asyncio
import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llm_api.cli.terminal import harmless, notes, output

if TYPE_CHECKING:
    from llm_api.cli.files import FoundFile, StoredFile
    from llm_api.config.settings import Settings
    from llm_api.core.rag.reports import DocumentOutcome, Report

EXAMPLES = """Examples:

- `llm-api ingest docs/ README.md`

- `llm-api ingest manuals/ --collection manuals`

- `llm-api ingest docs/ --local`

- `llm-api ingest ../other/docs --source other-docs`
"""


_SOURCE = re.compile(r"\w[\w.-]{0,63}")


class Library(Protocol):
    """A collection that files go into."""

    async def stored(self) -> "Mapping[str, StoredFile]":
        """What is known of each file that is stored, by its document's id."""
        ...

    async def store(self, files: "Sequence[FoundFile]", report: "Report") -> None:
        """Store files, and report each."""
        ...


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders to walk.")],
    collection: Annotated[str, typer.Option(help="Where they go.")] = "default",
    source: Annotated[
        str | None,
        typer.Option(help="What ids of the files begin with. Unless said: their folder's name."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="The server [http://HOST:PORT].")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="A key of the server. Unless said: API_KEY, for one on this machine."),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Store where the settings say, without a server.")
    ] = False,
) -> None:
    """Store files, so that they are found and answered from. Skips what has not changed.

    Reads text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, OpenDocument, EPUB, RTF, mail (EML), CSV,
    JSON, notebooks and code. A file's path, from its source on, is its document's id: changed, it
    replaces what was stored of it. What was stored from another folder of the same name is never
    replaced. Ends with 1 if a file could not be stored.
    """
    from llm_api.cli.files import find_files
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.config.settings import load_settings

    if local and url is not None:
        raise typer.BadParameter("--url is for a server, not for --local.")
    if source is not None and not _SOURCE.fullmatch(source):
        raise typer.BadParameter("A source's name has letters, digits, '.', '-' and '_'.")
    settings = load_settings()
    files = find_files(paths, source)
    library = (
        _local(settings, collection)
        if local
        else _server(url or default_url(settings), key_for(settings, url, api_key), collection)
    )
    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    if asyncio.run(_ingest(files, library))["failed"]:
        sys.exit(1)


def _server(url: str, api_key: str | None, collection: str) -> AbstractAsyncContextManager[Library]:
    from llm_api.cli.server_library import server_library

    return server_library(url, api_key, collection)


def _local(settings: "Settings", collection: str) -> AbstractAsyncContextManager[Library]:
    from llm_api.cli.local_library import local_library

    return local_library(settings, collection)


async def _ingest(
    files: "Sequence[FoundFile]", opening: AbstractAsyncContextManager[Library]
) -> Counter[str]:
    """How often each thing happened. Tells it on the way."""
    from llm_api.cli.files import changed_files

    counts: Counter[str] = Counter()
    async with opening as library:
        changed = changed_files(files, await library.stored())
        counts["unchanged"] = len(files) - len(changed)
        with _progress() as progress:
            task = progress.add_task("ingesting", total=len(changed))

            def report(outcome: "DocumentOutcome") -> None:
                counts[outcome.what] += 1
                progress.advance(task)
                for sentence in (outcome.reason, *outcome.warnings):
                    if sentence:
                        line = harmless(f"{outcome.document_id}: {sentence}")
                        progress.console.print(line, markup=False, soft_wrap=True)

            await library.store(changed, report)
    said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)
    output().print(said or "there are no files")
    return counts


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes(),
    )
