"""`llm-api rag eval`: how well documents are found, and which way to search is best."""

import asyncio
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import note, notes, print_json, print_table, say

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.rag.evals import SearchEvals
    from llm_api.core.rag.reports import DocumentOutcome
    from llm_api.core.rag.tuning import Tuning

EXAMPLES: Final = """Examples:

- `llm-api rag eval cranfield/`

- `llm-api rag eval questions/ --collection manuals --apply`
"""


def evaluate_folder(
    folder: Annotated[
        Path, typer.Argument(help="In BEIR's layout: corpus.jsonl, queries.jsonl, qrels/.")
    ],
    cutoff: Annotated[int, typer.Option(min=1, max=20, help="Documents that count.")] = 10,
    split: Annotated[str, typer.Option(help="Which judgements: qrels/SPLIT.tsv.")] = "test",
    collection: Annotated[
        str | None,
        typer.Option(help="Ask this collection, whose documents the judgements name."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Search that collection as was found best.")
    ] = False,
    as_json: JSONOption = False,
) -> None:
    """Say which way to search is best: dense, sparse or hybrid, and with what weights.

    Embeds the corpus into memory and asks every question; shows recall, MRR and nDCG of each mode,
    and what tuning would bring. With `--collection`, asks what is stored instead, where `--apply`
    keeps it; documents under DATA_DIR belong to one process, so stop the server first, or use
    `POST /v1/rag/evals`.
    """
    from llm_api.config.settings import load_settings

    if apply and collection is None:
        raise typer.BadParameter("--apply needs --collection.")
    logging.basicConfig(level="ERROR")  # what goes wrong is raised, and said once
    settings = load_settings() if collection else load_settings(qdrant_use_memory=True)
    evaluation = _Evaluation(folder, split, cutoff, collection, apply)
    evals, is_applied = asyncio.run(_evaluate(settings, evaluation))
    if as_json:
        print_json(_for_programs(evals, is_applied))
        return
    columns = ("mode", f"nDCG@{cutoff}", f"recall@{cutoff}", f"MRR@{cutoff}")
    qualities = evals.comparison.qualities.items()
    rows = (
        (mode, *(f"{figure:.4f}" for figure in (one.ndcg, one.recall, one.mrr)))
        for mode, one in qualities
    )
    print_table(columns, rows)
    say(f"Best here: {evals.comparison.best}.")
    if evals.tuning is not None:
        say(_told(evals.tuning))
    if apply:
        usual = "is searched as any other"
        say(f"{collection} {'is searched so from now on' if is_applied else usual}.")


def _for_programs(evals: "SearchEvals", is_applied: bool) -> dict[str, Any]:
    return {
        "modes": {mode: asdict(one) for mode, one in evals.comparison.qualities.items()},
        "best": evals.comparison.best,
        "tuning": None if evals.tuning is None else asdict(evals.tuning),
        "applied": is_applied,
    }


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Whose questions, and whom they are put to: the folder's own corpus without a collection."""

    folder: Path
    split: str
    cutoff: int
    collection: str | None
    applies: bool


def _told(tuning: "Tuning") -> str:
    choice = tuning.choice
    threshold = choice.score_threshold
    return (
        f"Tuned: {choice.mode}, embedding {choice.weights.embedding:g} to text"
        f" {choice.weights.text:g}, neighbours {choice.neighbours}, diversity"
        f" {choice.diversity:g}, top_k {choice.top_k},"
        f" threshold {'none' if threshold is None else f'{threshold:g}'}. For questions that it was"
        f" not chosen on {tuning.ndcg:.4f}, before {tuning.before:.4f}:"
        f" {tuning.gain:+.4f} \u00b1 {tuning.error:.4f},"
        f" {'surely better' if tuning.is_better else 'not surely better'}."
    )


async def _evaluate(settings: "Settings", asked: _Evaluation) -> tuple["SearchEvals", bool]:
    from llm_api.cli.rag.local_library import local_retrieval
    from llm_api.core.errors import InvalidRequestError
    from llm_api.core.rag.beir import read_corpus, read_judgements, read_queries
    from llm_api.core.rag.evals import apply, evaluate_search
    from llm_api.core.rag.ingest import each

    folder = asked.folder
    judgements, queries = read_judgements(folder, asked.split), read_queries(folder)
    questions = {
        name: text for name, text in queries.items() if name in judgements and text.strip()
    }
    if not any(grade > 0 for name in questions for grade in judgements[name].values()):
        raise InvalidRequestError(f"No question of {folder.name} has a relevant document.")
    corpus = [] if asked.collection else list(read_corpus(folder))
    collection = asked.collection or "eval"
    async with local_retrieval(settings) as retrieval:
        if corpus:
            from rich.progress import track

            documents = each(track(corpus, "embedding", console=notes()))
            await retrieval.ingest(collection, documents, _say_failure)
        evals = await evaluate_search(
            retrieval.retriever, collection, questions, judgements, asked.cutoff
        )
        is_applied = asked.applies and await apply(retrieval.store, collection, evals, time.time())
    return evals, is_applied


def _say_failure(outcome: "DocumentOutcome") -> None:
    if outcome.what == "failed":
        note(f"{outcome.document_id}: {outcome.reason}")
