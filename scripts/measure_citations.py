"""Measures how many of an answer's sentences are cited, and how many citations are right.

    python -m scripts.measure_citations [--generate] [--model FILE.gguf] [--scan]

With `--generate`, a model answers the questions of `citations/documents.txt` from its documents, as
`POST /v1/rag/chat` does; sources and answers are kept in `citations/answers.json`, one by one:
broken off, it goes on where it was. The kept answers are then cited anew, and compared with
`citations/supported.txt`: which sentences of the documents say what each sentence of each answer
says, as a person has judged, strictly: all of it, of the thing that the answer is about.

- cited: sentences that a document supports, and that have a citation
- right: citations whose span holds all that supports their sentence, in its document
- taken away: sentences that are still aligned where the documents that support them are not given

The thresholds were chosen with every second question (`--scan`), never seen by the others.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2

from llm_api.assembly.embedders import find_embedders
from llm_api.config.settings import Settings
from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.rag.answering.answer_sentences import AnswerSentence, divided
from llm_api.core.rag.answering.citer import Citer
from llm_api.core.rag.answering.support import (
    COMBINED_THRESHOLD,
    LEXICAL_THRESHOLD,
    SupportCheck,
)
from llm_api.core.rag.types import Chunk, Span
from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server
from scripts.clients.loopback import HOST

FOLDER: Final = Path(__file__).parent / "citations"
MAX_TOKENS: Final = 120
REQUEST_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Page:
    """A document: its sentences, and the question that is asked of it."""

    id: str
    title: str
    sentences: tuple[str, ...]
    question: str

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def read_pages() -> list[Page]:
    blocks = (FOLDER / "documents.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return [_page(block.splitlines()) for block in blocks]


def _page(lines: list[str]) -> Page:
    head, *sentences, question = lines
    id_, title = head.removeprefix("# ").split(" | ")
    return Page(id_, title, tuple(sentences), question.removeprefix("? "))


@contextmanager
def _served(model: Path | None, folder: Path) -> Iterator[httpx2.Client]:
    with ExitStack() as stack:
        port = free_port()
        variables = {
            "PORT": str(port),
            "PARALLEL": "1",
            "QDRANT_USE_MEMORY": "true",
            "DATA_DIR": str(folder / "data"),
            "LOG_FILE": str(folder / "log.jsonl"),
        }
        if model is not None:
            variables |= {"MODEL_PATH": str(model.resolve()), "CONTEXT_LENGTH": "4096"}
        command = Command(
            (sys.executable, "-m", "llm_api"), "/health/ready", tuple(variables.items())
        )
        stack.enter_context(running_server("the server", command, folder / "server.log", port))
        base = f"http://{HOST}:{port}/v1"
        yield stack.enter_context(httpx2.Client(base_url=base, timeout=REQUEST_SECONDS))


def _generate(model: Path | None, kept_at: Path) -> None:
    kept: dict[str, Any] = json.loads(kept_at.read_text()) if kept_at.exists() else {}
    pages = read_pages()
    with tempfile.TemporaryDirectory() as folder, _served(model, Path(folder)) as client:
        documents = [{"id": one.id, "title": one.title, "text": one.text} for one in pages]
        client.post("/rag/documents", json={"documents": documents}).raise_for_status()
        for number, page in enumerate(pages, 1):
            if page.id not in kept:
                body = {"query": page.question, "max_tokens": MAX_TOKENS, "temperature": 0}
                answer = client.post("/rag/chat", json=body).raise_for_status().json()
                wanted = ("answer", "sources", "citations", "usage")
                kept[page.id] = {name: answer[name] for name in wanted}
                kept_at.write_text(json.dumps(kept, ensure_ascii=False, indent=1))
            print(f"{number} of {len(pages)}: {kept[page.id]['answer']!r}", flush=True)


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation, as far as it is judged."""

    document_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Judged:
    """A sentence of an answer: what supports it, and the citations before and now."""

    sentence: AnswerSentence
    support: Cited | None
    before: tuple[Cited, ...]
    now: tuple[Cited, ...]
    likeness: float
    is_best_right: bool
    without: float | None


def is_right(citation: Cited, support: Cited | None) -> bool:
    return (
        support is not None
        and citation.document_id == support.document_id
        and citation.span.start <= support.span.start
        and support.span.end <= citation.span.end
    )


def read_support(pages: Sequence[Page]) -> dict[str, list[Cited | None]]:
    """What supports each sentence of the answer to each page's question."""
    by_id = {page.id: page for page in pages}
    lines = (FOLDER / "supported.txt").read_text(encoding="utf-8").splitlines()
    named = (line.split(": ") for line in lines)
    return {id_: [_support(by_id, one.strip()) for one in rest.split("|")] for id_, rest in named}


def _support(pages: Mapping[str, Page], name: str) -> Cited | None:
    """`soup.0+1` are the first two sentences of the document `soup`."""
    if name == "-":
        return None
    id_, numbers = name.split(".")
    sentences = pages[id_].sentences
    first, *_, last = 2 * [int(number) for number in numbers.split("+")]
    start = sum(len(one) + 1 for one in sentences[:first])
    end = sum(len(one) + 1 for one in sentences[: last + 1]) - 1
    return Cited(id_, Span(start, end))


async def judge(
    page: Page, kept: Mapping[str, Any], support: Sequence[Cited | None], embedder: Embedder | None
) -> list[Judged]:
    """The sentences of one answer."""
    answer, chunks = kept["answer"], [_chunk(source) for source in kept["sources"]]
    sentences = divided(answer)
    citer = Citer(chunks, embedder, question=page.question)
    citer.add(answer)
    citer.end()
    citations = [citation for one in await citer.all() for citation in one.citations]
    await citer.aclose()
    return [
        Judged(
            sentence,
            wanted,
            tuple(
                Cited(one["document_id"], Span(**one["span"]))
                for one in kept["citations"]
                if any(Span(**one["marker"]) == marker.place for marker in sentence.markers)
            ),
            tuple(
                Cited(one.document_id, one.span)
                for one in citations
                if one.sentence == sentence.place
            ),
            *await _best(sentence, chunks, wanted, embedder),
        )
        for sentence, wanted in zip(sentences, support, strict=True)
    ]


async def _best(
    sentence: AnswerSentence,
    chunks: Sequence[Chunk],
    support: Cited | None,
    embedder: Embedder | None,
) -> tuple[float, bool, float | None]:
    """Likeness to the best passage, whether it is right, and likeness without what supports it."""
    score, right = await _likeness(sentence, chunks, support, embedder)
    if support is None:
        return score, right, None
    others = [chunk for chunk in chunks if chunk.document_id != support.document_id]
    return score, right, (await _likeness(sentence, others, None, embedder))[0]


async def _likeness(
    sentence: AnswerSentence,
    chunks: Sequence[Chunk],
    support: Cited | None,
    embedder: Embedder | None,
) -> tuple[float, bool]:
    check = SupportCheck(chunks, embedder)
    best = (await check.compare(sentence.claim)).best()
    await check.aclose()
    if best is None:
        return 0.0, False
    return best.score, is_right(Cited(best.document_id, best.span), support)


def _chunk(source: Mapping[str, Any]) -> Chunk:
    span = Span(**source["span"])
    return Chunk(source["chunk_id"], source["document_id"], 0, source["text"], span)


def report(name: str, judged: Sequence[Judged], threshold: float) -> None:
    supported = [one for one in judged if one.support is not None]
    print(f"{name}: {len(judged)} sentences, {len(supported)} supported")
    for when in ("before", "now"):
        cited = sum(bool(getattr(one, when)) for one in supported)
        pairs = [(citation, one.support) for one in judged for citation in getattr(one, when)]
        right = sum(is_right(*pair) for pair in pairs)
        print(
            f"  {when:7} cited {_share(cited, len(supported))},"
            f" citations right {_share(right, len(pairs))}"
        )
    false = sum(one.without is not None and one.without >= threshold for one in supported)
    print(f"  taken away: {_share(false, len(supported))} still aligned")


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / max(1, whole):.3f})"


def scan(judged: Sequence[Judged]) -> None:
    """What thresholds would do, by alignment alone."""
    supported = [one for one in judged if one.support is not None]
    invented = [one.likeness for one in judged if one.support is None]
    invented += [one.without for one in supported if one.without is not None]
    for threshold in (number / 100 for number in range(40, 72, 2)):
        found = sum(one.likeness >= threshold and one.is_best_right for one in supported)
        false = sum(likeness >= threshold for likeness in invented)
        print(
            f"  {threshold:.2f}: cited rightly {_share(found, len(supported))},"
            f" invented ones cited {_share(false, len(invented))}"
        )


async def measure(*, scans: bool) -> None:
    kept = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
    pages = read_pages()
    support = read_support(pages)
    with ThreadPoolExecutor(max_workers=1) as thread:
        run = partial(asyncio.get_running_loop().run_in_executor, thread)
        found = find_embedders(Settings(), run).default()
        for name, embedder, threshold in (
            ("words and meaning", found, COMBINED_THRESHOLD),
            ("words alone", None, LEXICAL_THRESHOLD),
        ):
            answers = [
                await judge(page, kept[page.id], support[page.id], embedder) for page in pages
            ]
            print(f"{name}, threshold {threshold}")
            for part, those in (("chosen with", answers[::2]), ("unseen", answers[1::2])):
                judged = [one for each in those for one in each]
                report(part, judged, threshold)
                if scans:
                    scan(judged)
            report("all", [one for each in answers for one in each], threshold)
        await found.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--generate", action="store_true", help="answers that are not kept yet")
    parser.add_argument("--model", type=Path, help="a GGUF file; the default model without it")
    parser.add_argument("--scan", action="store_true", help="what other thresholds would do")
    arguments = parser.parse_args()
    if arguments.generate:
        _generate(arguments.model, FOLDER / "answers.json")
    asyncio.run(measure(scans=arguments.scan))


if __name__ == "__main__":
    main()
