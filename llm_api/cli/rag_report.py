"""`llm-api rag report`: what is in a collection, where it came from, what failed, what is stale."""

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from llm_api.cli.terminal import harmless, output

if TYPE_CHECKING:
    from llm_api.config.settings import Settings

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
) -> None:
    """Say what is in a collection: by source and kind, what failed, what is older than its source.

    Asks the server. Failures and syncs are those of this key.
    """
    from llm_api.config.settings import load_settings

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    report = asyncio.run(_asked(load_settings(), url, api_key, collection, stale_days))
    _tell(report)


async def _asked(
    settings: "Settings", url: str | None, api_key: str | None, collection: str, stale_days: float
) -> Report:
    from llm_api.cli.remote_server import default_url, key_for
    from llm_api.cli.server_library import server_library

    key = key_for(settings, url, api_key)
    async with server_library(url or default_url(settings), key, collection) as library:
        return await library.report(stale_days)


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
