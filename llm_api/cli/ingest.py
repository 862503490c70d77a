"""`llm-api ingest`: files and folders into a collection, through a server or without one."""

import asyncio
import logging
import re
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llm_api.cli.ingesting import Library
    from llm_api.config.settings import Settings

EXAMPLES = """Examples:

- `llm-api ingest docs/ README.md`

- `llm-api ingest manuals/ --collection manuals --prune`

- `llm-api ingest docs/ --local`

- `llm-api ingest ../other/docs --source other-docs`
"""


_SOURCE = re.compile(r"\w[\w.-]{0,63}")


def ingest(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
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
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete documents whose files are gone from a folder.")
    ] = False,
    max_deleted_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of a folder's documents, unless confirmed.")
    ] = 0.2,
    confirm: Annotated[bool, typer.Option("--confirm", help="Prune whatever share it is.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that could not be read.")
    ] = False,
) -> None:
    """Store files, so that they are found and answered from. Skips what has not changed.

    Reads text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, OpenDocument, EPUB, RTF, mail (EML), CSV,
    JSON, notebooks and code. A file's path, from its source on, is its document's id: changed, it
    replaces what was stored of it. What was stored from another folder of the same name is never
    replaced. A file that cannot be read is named, and tried again when it changes. Ends with 1 if a
    file could not be stored.
    """
    from llm_api.cli.files import find_sources
    from llm_api.cli.ingesting import Choices, ingest_sources, tell
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.config.settings import load_settings
    from llm_api.core.rag.sync import Deletion

    if local and url is not None:
        raise typer.BadParameter("--url is for a server, not for --local.")
    if source is not None and not _SOURCE.fullmatch(source):
        raise typer.BadParameter("A source's name has letters, digits, '.', '-' and '_'.")
    settings = load_settings()
    sources = find_sources(paths, source)
    opening = (
        _local(settings, collection)
        if local
        else _server(url or default_url(settings), key_for(settings, url, api_key), collection)
    )
    deletion = Deletion(max_deleted_share, confirm) if prune else None
    choices = Choices(collection, deletion, retries_failed=retry_failed)
    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once

    async def run() -> bool:
        async with opening as library:
            counts = await ingest_sources(sources, library, choices)
            tell(counts)
            return counts["failed"] == 0

    if not asyncio.run(run()):
        sys.exit(1)


def _server(
    url: str, api_key: str | None, collection: str
) -> "AbstractAsyncContextManager[Library]":
    from llm_api.cli.server_library import server_library

    return server_library(url, api_key, collection)


def _local(settings: "Settings", collection: str) -> "AbstractAsyncContextManager[Library]":
    from llm_api.cli.local_library import local_library

    return local_library(settings, collection)
