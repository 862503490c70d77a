"""Cohere's official Python library: rerank, by both of its clients."""

import os

import cohere
from cohere.core import RequestOptions

TEXTS = ["Bread is baked from flour.", "A river is running water.", "Iron rusts."]
MODEL = "all-MiniLM-L6-v2"
MODE = RequestOptions(additional_body_parameters={"mode": "embedding"})
"""This server judges by its embedding model, as it has been given none that ranks."""


def second_version(base_url: str, key: str) -> None:
    client = cohere.ClientV2(api_key=key, base_url=base_url)
    answer = client.rerank(
        model=MODEL, query="What is a river?", documents=TEXTS, top_n=2, request_options=MODE
    )
    first, _ = answer.results
    assert first.index == 1, answer
    scores = [one.relevance_score for one in answer.results]
    assert scores == sorted(scores, reverse=True), scores


def first_version(base_url: str, key: str) -> None:
    client = cohere.Client(api_key=key, base_url=base_url)
    documents = [TEXTS[0], {"text": TEXTS[1]}]
    answer = client.rerank(
        model=MODEL,
        query="What is a river?",
        documents=documents,
        return_documents=True,
        request_options=MODE,
    )
    assert answer.results[0].document is not None, answer
    assert answer.results[0].document.text == TEXTS[1], answer


def main() -> None:
    base_url, key = os.environ["ROOT_URL"], os.environ["API_KEY"]
    for step in (second_version, first_version):
        step(base_url, key)
        print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
