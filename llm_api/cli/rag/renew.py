"""`llm-api rag reindex`: a collection embedded anew, or nothing left of the attempt."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import note, print_json, say

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.rag.reports import DocumentOutcome
    from llm_api.core.rag.vector_store import VectorStore

EXAMPLES: Final = """Examples:

- `EMBEDDING_MODEL_NAME=BAAI/bge-small-en-v1.5 llm-api rag reindex`

- `llm-api rag reindex manuals --force`
"""


def reindex_collection(
    collection: Annotated[str, typer.Argument(help="The collection to embed anew.")] = "default",
    force: Annotated[
        bool, typer.Option("--force", help="Though its vectors are those of this model.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Ctrl-C leaves the copy; the next run goes on with it.")
    ] = False,
    as_json: JSONOption = False,
) -> None:
    """Embed a collection with the model that the settings name now.

    The old vectors are searched until the new ones are all there and take their place in one step.
    On a Qdrant server that is without a pause; documents under DATA_DIR belong to one process, so
    stop the server first. Ctrl-C leaves everything as it was.
    """
    from llm_api.config.settings import load_settings

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    try:
        done = asyncio.run(_reindex(load_settings(), collection, force=force, keeps_copy=keep))
    except KeyboardInterrupt:
        kept = "; the next run goes on where this one stopped" if keep else ""
        note(f"Interrupted. {collection} is as it was{kept}.")
        raise
    if as_json:
        print_json({"collection": collection, "documents": done or 0, "is_new": done is not None})
    elif done is None:
        say(
            f"{collection} is embedded by this model already: nothing needs doing (--force does it"
            " all the same, as after a change of RAG_CHUNK_TOKENS)"
        )
    else:
        say(f"{done} documents of {collection} are embedded anew")


async def _reindex(
    settings: "Settings", collection: str, *, force: bool, keeps_copy: bool
) -> int | None:
    """How many documents; None where nothing needs doing."""
    from llm_api.cli.rag.chunk_bar import ChunkBar, new_bar
    from llm_api.cli.rag.local_library import local_retrieval
    from llm_api.core.rag.reindex import is_renewed, reindex

    done: set[str] = set()
    async with local_retrieval(settings) as retrieval:
        if not force and await is_renewed(retrieval, collection):
            return None
        with new_bar() as progress:
            bar = ChunkBar(progress)

            def report(outcome: "DocumentOutcome") -> None:
                bar.stored(outcome)
                if outcome.what == "failed":
                    bar.say(f"{outcome.document_id}: {outcome.reason}")
                else:
                    done.add(outcome.document_id)

            async with bar.storing(await _sizes(retrieval.store, collection), "embedding"):
                await reindex(retrieval, collection, report, keeps_copy=keeps_copy)
    return len(done)


async def _sizes(store: "VectorStore", collection: str) -> Mapping[str, int]:
    """Characters by document: what the time that is left is told by."""
    from llm_api.core.rag.vector_store import every_document

    return {one.id: one.characters async for one in every_document(store, collection)}
