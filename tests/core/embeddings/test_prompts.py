from dataclasses import replace

import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest, InputType
from llm_api.core.embeddings.encoder import EncoderFacts
from llm_api.core.embeddings.prompts import Treatment, choose_treatment, with_prefixes
from llm_api.core.errors import UnsupportedParameterError

BARE = EncoderFacts(dimension=8, max_tokens=8, vocabulary_size=8)
E5 = replace(BARE, prompts={"query": "query: ", "passage": "passage: "})
NOMIC = replace(BARE, prompts={"search_query": "search_query: ", "clustering": "clustering: "})
JINA = replace(
    BARE,
    prompts={"retrieval.query": "Q: ", "retrieval.passage": "P: "},
    adapters=("retrieval.query", "retrieval.passage", "text-matching"),
)


@pytest.mark.parametrize(
    ("facts", "input_type", "task", "expected"),
    [
        (BARE, None, None, Treatment()),
        (BARE, "query", None, Treatment()),
        (E5, "query", None, Treatment("query: ")),
        (E5, "document", None, Treatment("passage: ")),
        (E5, None, None, Treatment()),
        (NOMIC, "query", None, Treatment("search_query: ")),
        (NOMIC, None, "clustering", Treatment("clustering: ")),
        (JINA, "query", None, Treatment("Q: ", "retrieval.query")),
        (JINA, "document", None, Treatment("P: ", "retrieval.passage")),
        (JINA, "query", "text-matching", Treatment("", "text-matching")),
        (JINA, None, None, Treatment()),
        (replace(E5, default_prompt="passage: "), None, None, Treatment("passage: ")),
        (replace(BARE, default_prompt="passage: "), "query", None, Treatment()),
    ],
)
def test_a_request_is_treated_as_the_model_was_trained(
    facts: EncoderFacts, input_type: InputType | None, task: str | None, expected: Treatment
) -> None:
    request = EmbeddingRequest(["a"], input_type=input_type, task=task)
    assert choose_treatment(request, facts) == expected


@pytest.mark.parametrize(("facts", "words"), [(BARE, "it has none"), (JINA, "text-matching")])
def test_a_task_that_the_model_does_not_have_is_refused(facts: EncoderFacts, words: str) -> None:
    with pytest.raises(UnsupportedParameterError, match=words):
        choose_treatment(EmbeddingRequest(["a"], task="summarise"), facts)


def test_prefixes_keep_the_name_that_the_model_has_for_them() -> None:
    facts = with_prefixes(JINA, "Ask: ", None)
    request = EmbeddingRequest(["a"], input_type="query")
    assert choose_treatment(request, facts) == Treatment("Ask: ", "retrieval.query")
    assert facts.prompts["retrieval.passage"] == "P: "
