"""`llm-api rag report`: what is in a collection, where it came from, what failed, what is stale."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from llm_api.cli.in_process import opened
from llm_api.cli.options import JSONOption, KeyOption, LocalOption, URLOption
from llm_api.cli.terminal import print_json, print_table, say

EXAMPLES: Final = """Examples:

- `llm-api rag report`

- `llm-api rag report manuals --stale-days 7 --json`
"""


def report_collection(
    collection: Annotated[str, typer.Argument(help="The collection.")] = "default",
    stale_days: Annotated[
        float, typer.Option(min=0, help="Days after which a web page counts as stale.")
    ] = 30,
    url: URLOption = None,
    api_key: KeyOption = None,
    local: LocalOption = False,
    as_json: JSONOption = False,
) -> None:
    """Say what is in a collection: by source and kind, what failed, what is older than its source.

    Failures and syncs are those of this key.
    """

    async def ask() -> dict[str, Any]:
        async with opened(url, api_key, local) as api:
            path = f"/v1/rag/collections/{quote(collection, safe='')}/report"
            found: dict[str, Any] = await api.get(path, stale_days=stale_days)
            return found

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _tell(report: dict[str, Any]) -> None:
    say(
        f"{report['collection']}: {report['documents']} documents, {report['chunks']} chunks,"
        f" {report['characters']} characters, embedded by {report['embedding_model']}"
        f" ({report['dimension']} dimensions, word rule {report['word_rule']})"
    )
    rows = [(f"{one['type']} {one['name']}".strip(), one) for one in report["sources"]]
    rows += [(f"kind {one['kind']}", one) for one in report["kinds"]]
    figures = ("documents", "chunks", "characters")
    table = ((name, *(one[figure] for figure in figures)) for name, one in rows)
    print_table(("from", *figures), table, numbers=figures)
    for what in ("failed", "stale"):
        say(f"{what}: {report[what]['total']}")
        for one in report[what]["data"]:
            say(f"  {one['document_id']}: {one['reason']}")
