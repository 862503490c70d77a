"""Measures the support check, and finds the thresholds that it should have.

    python -m scripts.measure_support --stsb test.csv --cranfield FOLDER [--embeddings URL]

Answers are made of data that people judged or wrote:
- `stsb`: one sentence of a pair against a text that holds the other one; supported where people
  found them to mean the same (4 and above of 5), not supported below 3.
- `title`: the title of an abstract against its own abstract, and against another one.
- `damaged`: a sentence that lost a third of its words, in the same way.

Every second example chooses the threshold, the one that tells most right (`accuracy`, the mean
of the three); precision and recall are those of the others, which it never saw.
"""

import argparse
import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from openai import OpenAI

from llm_api.core.rag.answering.answer_sentences import divided
from llm_api.core.rag.answering.overlap import Passages
from llm_api.core.rag.answering.support import COMBINED_THRESHOLD, LEXICAL_THRESHOLD, Likeness
from llm_api.core.rag.beir import read_corpus
from llm_api.core.rag.sentences import sentences

ABSTRACTS = 400
SHORTEST_SENTENCE = 8  # words
BATCH = 256
FALSE_ASSURANCE = 2


@dataclass(frozen=True, slots=True)
class Example:
    """An answer of one sentence, a source for it, and whether the one supports the other."""

    answer: str
    source: str
    supported: bool

    def claims(self) -> list[str]:
        return [sentence.claim for sentence in divided(self.answer)]


Scored: TypeAlias = Sequence[tuple[float, bool]]
"""Score of each example, and whether it is supported."""


def stsb_examples(path: Path, choose: random.Random) -> Iterator[Example]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(first, second, float(grade)) for first, second, grade in csv.reader(file)]
    for first, second, grade in rows:
        if 3 <= grade < 4:
            continue
        before, after = choose.choice(rows)[1], choose.choice(rows)[1]
        yield Example(first, "\n\n".join([before, second, after]), grade >= 4)


def cranfield_examples(folder: Path, choose: random.Random) -> tuple[list[Example], list[Example]]:
    documents = [document for document in read_corpus(folder) if document.text and document.title]
    titles, damaged = [], []
    for document in choose.sample(documents, ABSTRACTS):
        other = choose.choice([each for each in documents if each is not document]).text
        titles += [
            Example(document.title, document.text, supported=True),
            Example(document.title, other, supported=False),
        ]
        spans = sentences(document.text)
        words = [document.text[span.start : span.end].split() for span in spans]
        long = [sentence for sentence in words if len(sentence) >= SHORTEST_SENTENCE]
        if long:
            rest = " ".join(word for word in choose.choice(long) if choose.random() > 1 / 3)
            damaged += [
                Example(rest, document.text, supported=True),
                Example(rest, other, supported=False),
            ]
    return titles, damaged


def embed(texts: Sequence[str], url: str, model: str) -> dict[str, list[float]]:
    """Unit vectors from a server that speaks OpenAI's protocol."""
    client = OpenAI(base_url=url, api_key="unused")
    vectors: dict[str, list[float]] = {}
    for start in range(0, len(texts), BATCH):
        batch = list(texts[start : start + BATCH])
        answer = client.embeddings.create(input=batch, model=model)
        vectors |= {text: item.embedding for text, item in zip(batch, answer.data, strict=True)}
    return vectors


def score(
    examples: Sequence[Example], vectors: Mapping[str, Sequence[float]] | None
) -> list[tuple[float, bool]]:
    scored = []
    for example in examples:
        likeness = Likeness([example.source])
        best = []
        for claim in example.claims():
            pair = None
            if vectors is not None:
                sentences = [vectors[text] for text in likeness.passages.sentences]
                pair = np.array(vectors[claim]), np.array(sentences)
            best.append(float(likeness.of(claim, pair).max()))
        scored.append((min(best), example.supported))
    return scored


def precision_recall(scored: Scored, threshold: float) -> tuple[float, float]:
    found = [supported for value, supported in scored if value >= threshold]
    wanted = sum(supported for _, supported in scored)
    return sum(found) / max(1, len(found)), sum(found) / max(1, wanted)


def accuracy(scored: Scored, threshold: float) -> float:
    """The shares of both kinds that are told right, however many there are of each.

    To be assured of what is not there is twice as bad as to doubt what is.
    """
    right = {
        kind: [(value >= threshold) == kind for value, supported in scored if supported == kind]
        for kind in (True, False)
    }
    recall, specificity = (sum(each) / max(1, len(each)) for each in right.values())
    return (recall + FALSE_ASSURANCE * specificity) / (1 + FALSE_ASSURANCE)


def best_threshold(sets: Sequence[Scored]) -> float:
    candidates = [number / 100 for number in range(10, 96)]
    return max(
        candidates,
        key=lambda threshold: sum(accuracy(scored, threshold) for scored in sets),
    )


def report(name: str, sets: Mapping[str, Scored], current: float) -> None:
    best = best_threshold([scored[::2] for scored in sets.values()])
    print(f"{name}: best threshold {best:.2f}, in use {current:.2f}")
    for threshold in sorted({best, current}):
        for kind, scored in sets.items():
            precision, recall = precision_recall(scored[1::2], threshold)
            print(
                f"  at {threshold:.2f} {kind:8} precision {precision:.3f} recall {recall:.3f}"
                f" of {len(scored[1::2])}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stsb", type=Path, required=True, help="the STS benchmark's test.csv")
    parser.add_argument("--cranfield", type=Path, required=True, help="a folder in BEIR layout")
    parser.add_argument("--embeddings", help="a server's URL, such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="default", help="its embedding model")
    options = parser.parse_args()
    choose = random.Random(1)  # noqa: S311 - the same examples every time
    titles, damaged = cranfield_examples(options.cranfield, choose)
    examples = {
        "stsb": list(stsb_examples(options.stsb, choose)),
        "title": titles,
        "damaged": damaged,
    }
    for each in examples.values():
        choose.shuffle(each)
    report("words", {kind: score(each, None) for kind, each in examples.items()}, LEXICAL_THRESHOLD)
    if options.embeddings:
        all_examples = [example for each in examples.values() for example in each]
        texts = sorted(
            {claim for example in all_examples for claim in example.claims()}
            | {text for one in all_examples for text in Passages([one.source]).sentences}
        )
        vectors = embed(texts, options.embeddings, options.model)
        scored = {kind: score(each, vectors) for kind, each in examples.items()}
        report("words and meaning", scored, COMBINED_THRESHOLD)


if __name__ == "__main__":
    main()
