"""`llm-api rag`: measure how well documents are found, and embed a collection anew."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track
from rich.table import Table

from llm_api.cli.rag_report import report_collection
from llm_api.cli.terminal import harmless, notes, output

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.rag.evaluation import ModeComparison
    from llm_api.core.rag.reports import DocumentOutcome

rag = typer.Typer(
    help="See what is in a collection, measure retrieval, and embed a collection anew.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog="See also **llm-api ingest**.",
)


rag.command("report")(report_collection)


@rag.command("eval")
def evaluate_folder(
    folder: Annotated[
        Path, typer.Argument(help="In BEIR's layout: corpus.jsonl, queries.jsonl, qrels/.")
    ],
    cutoff: Annotated[int, typer.Option(min=1, max=20, help="Documents that count.")] = 10,
    split: Annotated[str, typer.Option(help="Which judgements: qrels/SPLIT.tsv.")] = "test",
) -> None:
    """Say which way to search is best for a collection: dense, sparse or hybrid.

    Embeds the corpus into memory, asks every question in each mode, and shows recall, MRR and nDCG.
    Your own documents are left alone.
    """
    from llm_api.config.settings import load_settings

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    settings = load_settings(qdrant_use_memory=True)
    comparison = asyncio.run(_compare(settings, folder, split, cutoff))
    table = Table(box=None, pad_edge=False)
    for column in ("mode", f"nDCG@{cutoff}", f"recall@{cutoff}", f"MRR@{cutoff}"):
        table.add_column(column)
    for mode, quality in comparison.qualities.items():
        figures = (quality.ndcg, quality.recall, quality.mrr)
        table.add_row(mode, *(f"{figure:.4f}" for figure in figures))
    output().print(table)
    output().print(f"Best here: {comparison.best}.")


async def _compare(settings: "Settings", folder: Path, split: str, cutoff: int) -> "ModeComparison":
    from llm_api.cli.local_library import local_retrieval
    from llm_api.core.errors import InvalidRequestError
    from llm_api.core.rag.beir import read_corpus, read_judgements, read_queries
    from llm_api.core.rag.evaluation import compare_modes
    from llm_api.core.rag.ingest import each

    judgements, queries = read_judgements(folder, split), read_queries(folder)
    asked = {name: text for name, text in queries.items() if name in judgements and text.strip()}
    if not any(grade > 0 for name in asked for grade in judgements[name].values()):
        raise InvalidRequestError(f"No question of {folder.name} has a relevant document.")
    corpus = list(read_corpus(folder))
    async with local_retrieval(settings) as retrieval:
        await retrieval.ingest(
            "eval", each(track(corpus, "embedding", console=notes())), _say_failure
        )
        return await compare_modes(retrieval.retriever, "eval", asked, judgements, cutoff)


@rag.command("reindex")
def reindex_collection(
    collection: Annotated[str, typer.Argument(help="The collection to embed anew.")] = "default",
) -> None:
    """Embed a collection with the model that the settings name now.

    The old vectors are searched until the new ones are all there and take their place in one step.
    On a Qdrant server that is without a pause; documents under DATA_DIR belong to one process, so
    stop the server first.
    """
    from llm_api.config.settings import load_settings

    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    done = asyncio.run(_reindex(load_settings(), collection))
    output().print(f"{done} documents of {collection} are embedded anew")


async def _reindex(settings: "Settings", collection: str) -> int:
    from llm_api.cli.local_library import local_retrieval
    from llm_api.core.rag.reindex import reindex

    done = 0

    def report(outcome: "DocumentOutcome") -> None:
        nonlocal done
        done += outcome.what != "failed"
        _say_failure(outcome)

    with notes().status(f"embedding {collection}"):
        async with local_retrieval(settings) as retrieval:
            await reindex(retrieval, collection, report)
    return done


def _say_failure(outcome: "DocumentOutcome") -> None:
    if outcome.what == "failed":
        line = harmless(f"{outcome.document_id}: {outcome.reason}")
        notes().print(line, markup=False, soft_wrap=True)
