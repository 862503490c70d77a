"""`llm-api ingest`: files and folders into a collection, through a server or without one."""

import asyncio
import logging
import re
import sys
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.options import CollectionOption, JSONOption, KeyOption, URLOption, refuse_url
from llm_api.cli.terminal import print_json

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from llm_api.cli.rag.files import FoundSource
    from llm_api.cli.rag.ingesting import Choices, Library
    from llm_api.config.settings import Settings

EXAMPLES = """Examples:

- `llm-api ingest docs/ README.md`

- `llm-api ingest manuals/ --collection manuals --prune`

- `llm-api ingest docs/ --local`

- `llm-api ingest ../other/docs --source other-docs`

- `llm-api ingest notes/ --watch --prune`

- `llm-api ingest https://example.com/team/handbook.git --ref main`
"""


_SOURCE = re.compile(r"\w[\w.-]{0,63}")


def ingest(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    ctx: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders to walk, URLs of Git repositories.")
    ],
    collection: CollectionOption = "default",
    source: Annotated[
        str | None,
        typer.Option(help="What ids of the files begin with. Unless said: their folder's name."),
    ] = None,
    url: URLOption = None,
    api_key: KeyOption = None,
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
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and store what changes, until Ctrl-C.")
    ] = False,
    ref: Annotated[
        str | None,
        typer.Option(help="Of repositories, and of folders as such: a branch, tag or commit."),
    ] = None,
    no_ignore: Annotated[
        bool, typer.Option("--no-ignore", help="Store what .gitignore names as well.")
    ] = False,
    as_json: JSONOption = False,
) -> None:
    """Store files, so that they are found and answered from. Skips what has not changed.

    Reads text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, OpenDocument, EPUB, RTF, mail (EML), CSV,
    JSON, notebooks and code. A file's path, from its source on, is its document's id: changed, it
    replaces what was stored of it. What was stored from another folder of the same name is never
    replaced. A file that cannot be read is named, and tried again when it changes; empty, binary
    and too large files and pictures are named and skipped. Ends with 1 if a file could not be
    stored; interrupted, or without its server, it goes on when it is run again.

    Of a folder, hidden files and those that .gitignore names are left out. Of a Git repository, the
    tracked files at one commit are stored; `git` fetches it, and nothing of it is run.
    """
    from llm_api.cli.rag.ingesting import Choices, tell
    from llm_api.config.settings import load_settings
    from llm_api.core.rag.sync import Deletion

    if local:
        refuse_url(ctx)
    if source is not None and not _SOURCE.fullmatch(source):
        raise typer.BadParameter("A source's name has letters, digits, '.', '-' and '_'.")
    settings = load_settings()
    places = _places(paths, source, ref, ignores=not no_ignore)
    if watch and places.repositories:
        raise typer.BadParameter("--watch is for folders and files, not for repositories.")
    opening = _local(settings, collection) if local else _server(settings, url, api_key, collection)
    deletion = Deletion(max_deleted_share, confirm) if prune else None
    choices = Choices(collection, deletion, retries_failed=retry_failed)
    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    if watch:
        asyncio.run(_watch(places, opening, choices))
        return
    counts = asyncio.run(_once(places, opening, choices))
    if as_json:
        print_json({what: count for what, count in sorted(counts.items()) if count})
    else:
        tell(counts)
    if counts["failed"]:
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class _Places:
    """What is to be ingested. Folders are repositories where a `ref` of them is meant."""

    files: "Sequence[Path]"
    repositories: "Sequence[str]"
    source: str | None
    ref: str | None
    ignores: bool

    def find(self) -> "list[FoundSource]":
        """Those of files and folders."""
        from llm_api.cli.rag.files import find_sources

        return find_sources(self.files, self.source, ignores=self.ignores)


def _places(
    paths: "Sequence[str]", source: str | None, ref: str | None, *, ignores: bool
) -> _Places:
    from llm_api.cli.rag.repository import is_repository_url

    repositories = [one for one in paths if is_repository_url(one) or ref is not None]
    files = [Path(one) for one in paths if one not in repositories]
    return _Places(files, repositories, source, ref, ignores)


async def _once(
    places: _Places, opening: "AbstractAsyncContextManager[Library]", choices: "Choices"
) -> "Counter[str]":
    """How often each thing happened."""
    from llm_api.cli.rag.ingesting import ingest_sources
    from llm_api.cli.rag.repository import tracked_files

    with ExitStack() as stack:
        sources = places.find()
        for one in places.repositories:
            sources.append(stack.enter_context(tracked_files(one, places.ref, places.source)))
        async with opening as library:
            return await ingest_sources(sources, library, choices)


async def _watch(
    places: _Places, opening: "AbstractAsyncContextManager[Library]", choices: "Choices"
) -> None:
    from llm_api.cli.rag.watching import watch

    async with opening as library:
        await watch(places.files, places.find, library, choices)


def _server(
    settings: "Settings", url: str | None, api_key: str | None, collection: str
) -> "AbstractAsyncContextManager[Library]":
    from llm_api.cli.rag.server_library import server_library

    return server_library(settings, url, api_key, collection)


def _local(settings: "Settings", collection: str) -> "AbstractAsyncContextManager[Library]":
    from llm_api.cli.rag.local_library import local_library

    return local_library(settings, collection)
