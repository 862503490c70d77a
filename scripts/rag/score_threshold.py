"""Where the default score threshold of an embedder belongs, measured on a collection.

`python -m scripts.rag.score_threshold BEIR_FOLDER FOREIGN_TEXTS`. The embedder is the one that the
settings choose. The threshold is there to say that the documents do not cover a question, so for
each candidate three shares tell what it does:

- answered: questions that keep the best of their relevant documents
- relevant: pairs of a question and a relevant document that pass
- foreign: questions about something else for which even the best of all documents passes
"""

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llm_api.assembly.embedders import find_embedders
from llm_api.config.settings import Settings
from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest, InputType, Vectors
from llm_api.core.rag.beir import read_corpus, read_judgements, read_queries

BATCH = 64
CANDIDATES = np.arange(0.0, 0.61, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("beir", type=Path, help="folder with corpus.jsonl, queries.jsonl, qrels/")
    parser.add_argument("foreign", type=Path, help="file with a text about other things per line")
    parser.add_argument("--foreign-count", type=int, default=200)
    given = parser.parse_args()
    others = given.foreign.read_text(encoding="utf-8").splitlines()[: given.foreign_count]
    asyncio.run(measure(given.beir, others))


async def measure(beir: Path, others: list[str]) -> None:
    """Embed everything, and print the table."""
    documents = {one.id: f"{one.title}\n{one.text}" for one in read_corpus(beir) if one.text}
    questions = {id_: text for id_, text in read_queries(beir).items() if text}
    with ThreadPoolExecutor(max_workers=1) as thread:
        run = partial(asyncio.get_running_loop().run_in_executor, thread)
        embedder = find_embedders(Settings(), run).default()
        vectors = await embed(embedder, list(documents.values()), "document")
        asked = await embed(embedder, list(questions.values()), "query")
        unasked = await embed(embedder, others, "query")
        await embedder.aclose()
    rows = {id_: row for row, id_ in enumerate(documents)}
    columns = {id_: column for column, id_ in enumerate(questions)}
    scores = vectors @ asked.T
    relevant = [
        scores[found, columns[question]]
        for question, grades in read_judgements(beir).items()
        if (found := [rows[id_] for id_, grade in grades.items() if grade > 0 and id_ in rows])
    ]
    print(f"{embedder.card.id}: {len(documents)} documents, {len(relevant)} questions")
    report(
        np.array([found.max() for found in relevant]),
        np.concatenate(relevant),
        scores.ravel(),
        (vectors @ unasked.T).max(axis=0),
    )


async def embed(embedder: Embedder, texts: list[str], input_type: InputType) -> Vectors:
    parts = []
    for start in range(0, len(texts), BATCH):
        request = EmbeddingRequest(texts[start : start + BATCH], input_type, truncates=True)
        parts.append((await embedder.embed(request)).vectors)
    return np.concatenate(parts)


def report(
    best: npt.NDArray[np.float32],
    relevant: npt.NDArray[np.float32],
    everything: npt.NDArray[np.float32],
    foreign: npt.NDArray[np.float32],
) -> None:
    """Quantiles of each distribution, then what each candidate does."""
    names = ["best relevant", "relevant", "any document", "best for foreign"]
    quantiles = (0.01, 0.05, 0.5, 0.95, 0.99)
    print("quantile".ljust(18), *(f"{quantile:6.0%}" for quantile in quantiles))
    for name, values in zip(names, (best, relevant, everything, foreign), strict=True):
        print(name.ljust(18), *(f"{value:6.3f}" for value in np.quantile(values, quantiles)))
    print("\nthreshold  answered  relevant  foreign")
    for candidate in CANDIDATES:
        shares = ((values >= candidate).mean() for values in (best, relevant, foreign))
        print(f"{candidate:9.2f}", *(f"{share:9.1%}" for share in shares))


if __name__ == "__main__":
    main()
