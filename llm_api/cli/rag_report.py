"""`llm-api rag report`: what is in a collection, where it came from, what failed, what is stale."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from llm_api.cli.terminal import harmless, output

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.rag.collection_report import Amount, Named

Report = dict[str, Any]
"""The server's answer, and the same of a local collection."""


def report_collection(
    collection: Annotated[str, typer.Argument(help="The collection.")] = "default",
    stale_days: Annotated[
        float, typer.Option(min=0, help="Days after which a web page counts as stale.")
    ] = 30,
    url: Annotated[str | None, typer.Option(help="The server [http://HOST:PORT].")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="A key of the server. Unless said: API_KEY, for one on this machine."),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Of what is stored where the settings say.")
    ] = False,
) -> None:
    """Say what is in a collection: by source and kind, what failed, what is older than its source.

    Failures and syncs are those of this key.
    """
    from llm_api.config.settings import load_settings

    if local and url is not None:
        raise typer.BadParameter("--url is for a server, not for --local.")
    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    settings = load_settings()
    asking = (
        _read(settings, collection, stale_days)
        if local
        else _asked(settings, url, api_key, collection, stale_days)
    )
    _tell(asyncio.run(asking))


async def _asked(
    settings: "Settings", url: str | None, api_key: str | None, collection: str, stale_days: float
) -> Report:
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.cli.server_library import server_library

    key = key_for(settings, url, api_key)
    async with server_library(url or default_url(settings), key, collection) as library:
        return await library.report(stale_days)


async def _read(settings: "Settings", collection: str, stale_days: float) -> Report:
    from llm_api.cli.local_library import OWNER, local_retrieval
    from llm_api.core.rag.collection_report import ReportOptions, report_on

    async with local_retrieval(settings) as retrieval:
        found = await report_on(retrieval, OWNER, collection, ReportOptions(stale_days))
    return {
        "collection": found.collection.name,
        "embedding_model": found.collection.embedding.model,
        "dimension": found.collection.embedding.dimension,
        "word_rule": found.collection.word_rule,
        **_figures(found.total),
        "sources": [
            {"type": one.origin, "name": one.name, **_figures(one.amount)} for one in found.sources
        ],
        "kinds": [{"kind": kind, **_figures(amount)} for kind, amount in found.kinds.items()],
        "failed": {"total": found.failed_count, "data": _named(found.failed)},
        "stale": {"total": found.stale_count, "data": _named(found.stale)},
    }


def _figures(amount: "Amount") -> Report:
    return {
        "documents": amount.documents,
        "chunks": amount.chunks,
        "characters": amount.characters,
    }


def _named(some: "Sequence[Named]") -> list[Report]:
    return [{"document_id": one.document_id, "reason": one.reason} for one in some]


def _tell(report: Report) -> None:
    out = output()
    out.print(
        f"{report['collection']}: {report['documents']} documents, {report['chunks']} chunks,"
        f" {report['characters']} characters, embedded by {report['embedding_model']}"
        f" ({report['dimension']} dimensions, word rule {report['word_rule']})",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for column in ("from", "documents", "chunks", "characters"):
        table.add_column(column)
    rows = [(f"{one['type']} {one['name']}".strip(), one) for one in report["sources"]]
    rows += [(f"kind {one['kind']}", one) for one in report["kinds"]]
    for name, one in rows:
        figures = (str(one[column]) for column in ("documents", "chunks", "characters"))
        table.add_row(harmless(name), *figures)
    out.print(table)
    for what in ("failed", "stale"):
        out.print(f"{what}: {report[what]['total']}")
        for one in report[what]["data"]:
            line = harmless(f"  {one['document_id']}: {one['reason']}")
            out.print(line, markup=False, soft_wrap=True)
