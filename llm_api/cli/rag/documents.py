"""`llm-api rag collections|list|show|delete`: what is stored, and how it goes away."""

import asyncio
import sys
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from llm_api.cli.in_process import opened
from llm_api.cli.options import CollectionOption, JSONOption, KeyOption, LocalOption, URLOption
from llm_api.cli.terminal import note, print_json, print_table, say

EXAMPLES: Final = {
    "list_collections": """Examples:

- `llm-api rag collections`

- `llm-api rag collections --json`
""",
    "list_documents": """Examples:

- `llm-api rag list`

- `llm-api rag list --collection manuals --filter '{"kind": "pdf"}' --limit 20`
""",
    "show": """Examples:

- `llm-api rag show docs/guide.md`

- `llm-api rag show docs/guide.md --collection manuals --json`
""",
    "delete": """Examples:

- `llm-api rag delete docs/old.md docs/older.md`

- `llm-api rag delete --filter '{"kind": "csv"}' --yes`

- `llm-api rag delete --collection manuals --everything`
""",
}
_PAGE: Final = 500

FilterOption = Annotated[
    str | None, typer.Option("--filter", metavar="JSON", help="Of documents with such metadata.")
]


def list_collections(
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Show the collections and their sizes."""

    async def ask() -> list[dict[str, Any]]:
        async with opened(url, api_key, local) as api:
            found: list[dict[str, Any]] = (await api.get("/v1/rag/collections"))["data"]
            return found

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
        return
    if not found:
        note("There is no collection yet; `llm-api ingest FOLDER` makes one.")
        return
    columns = ("name", "documents", "chunks", "embedding model", "state")
    rows = (
        (one["name"], one["documents"], one["chunks"], one["embedding_model"], _state(one))
        for one in found
    )
    print_table(columns, rows, numbers=("documents", "chunks"))


def list_documents(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    collection: CollectionOption = "default",
    filter: FilterOption = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 1_000,
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Show the documents."""

    async def ask() -> tuple[list[dict[str, Any]], bool]:
        found: list[dict[str, Any]] = []
        cursor = None
        async with opened(url, api_key, local) as api:
            while len(found) < limit:
                page = await api.get(
                    "/v1/rag/documents",
                    collection=collection,
                    filter=filter,
                    cursor=cursor,
                    limit=min(_PAGE, limit - len(found)),
                )
                found += page["data"]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
        return found, cursor is not None

    found, has_more = asyncio.run(ask())
    if as_json:
        print_json(found)
    elif found:
        rows = (
            (
                one["id"],
                one["metadata"].get("kind", "text"),
                one["chunks"],
                one["characters"],
                _day(one["stored_at"]),
            )
            for one in found
        )
        columns = ("id", "kind", "chunks", "characters", "stored")
        print_table(columns, rows, numbers=("chunks", "characters", "stored"))
    else:
        note(f"There is no such document in {collection}.")
    if has_more:
        note(f"There are more; --limit shows more than {limit}.")


def show(
    document: Annotated[str, typer.Argument(help="The id that `rag list` shows.")],
    collection: CollectionOption = "default",
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Show a document: what is known, its text."""

    async def ask() -> dict[str, Any]:
        async with opened(url, api_key, local) as api:
            path = f"/v1/rag/documents/{quote(document, safe='/')}"
            found: dict[str, Any] = await api.get(path, collection=collection)
            return found

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
        return
    known = {
        "title": found["title"],
        "chunks": found["chunks"],
        "characters": found["characters"],
        "stored": _day(found["stored_at"]),
        **found["metadata"],
    }
    for name, value in known.items():
        if value not in ("", None):
            note(f"{name}: {value}", "dim")
    say(found["text"])


def delete(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    documents: Annotated[
        list[str] | None, typer.Argument(help="Ids that `rag list` shows.")
    ] = None,
    collection: CollectionOption = "default",
    filter: FilterOption = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="The collection itself, with all that is in it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Delete documents, or a collection.

    Asks before more goes than the documents that are named; a script says --yes.
    """
    if bool(documents) + (filter is not None) + everything != 1:
        raise typer.BadParameter("name documents, or say --filter, or --everything.")
    if not documents:
        what = "everything in it" if everything else "the documents that match"
        _confirm(f"Delete of the collection {collection} {what}?", yes)

    async def ask() -> dict[str, int]:
        async with opened(url, api_key, local) as api:
            if everything:
                await api.delete(f"/v1/rag/collections/{quote(collection, safe='')}")
                return {"collections": 1}
            if filter is not None:
                said = await api.delete("/v1/rag/documents", collection=collection, filter=filter)
                return {"documents": said["deleted"]}
            for one in documents or ():
                path = f"/v1/rag/documents/{quote(one, safe='/')}"
                await api.delete(path, collection=collection)
                note(f"deleted {one}", "dim")
            return {"documents": len(documents or ())}

    deleted = asyncio.run(ask())
    if as_json:
        print_json(deleted)
    else:
        ((what, count),) = deleted.items()
        say(f"{count} {what} deleted")


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("nobody can be asked here: say --yes.")
    typer.confirm(question, abort=True, err=True)


def _state(collection: dict[str, Any]) -> str:
    said = [str(collection["status"])]
    said += ["tuned"] if collection["tuned"] else []
    return ", ".join(said)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - local time
