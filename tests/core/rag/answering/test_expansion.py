"""What a model makes of a question, to be searched for beside it."""

import pytest

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.llm.types import ChatPrompt
from llm_api.core.rag.answering.expansion import MAX_CHARACTERS, MAX_QUERIES, expand, written
from llm_api.core.rag.retrieve import Expansion
from tests.fakes import FakeBackend, spoken

QUESTION = "How are containers stopped?"


@pytest.mark.parametrize(
    ("expansion", "text", "queries"),
    [
        ("wordings", "1. Stop a container\n2) End it now\n", ["Stop a container", "End it now"]),
        ("wordings", '- "Stop a container"\n\n* Stop a container', ["Stop a container"]),
        ("wordings", f"{QUESTION}\nhow are containers stopped?", []),
        ("parts", "What is a pod?\nWhat is a node?", ["What is a pod?", "What is a node?"]),
        ("parts", "None\n", []),
        ("answer", "By a signal.\nThen it\nends.", ["By a signal. Then it ends."]),
        ("answer", "", []),
    ],
)
def test_queries_are_the_lines_that_a_model_has_written(
    expansion: Expansion, text: str, queries: list[str]
) -> None:
    assert written(text, QUESTION, expansion) == queries


def test_many_and_long_lines_are_bounded() -> None:
    text = "\n".join(f"line {number} {'x' * 2 * MAX_CHARACTERS}" for number in range(20))
    found = written(text, QUESTION, "wordings")
    assert len(found) == MAX_QUERIES
    assert {len(one) for one in found} == {MAX_CHARACTERS}


async def test_model_is_asked_once_and_greedily() -> None:
    backend = FakeBackend(lambda _: spoken("Stop a ", "container\n", "End one"))
    assert await expand(backend, QUESTION, "wordings") == ["Stop a container", "End one"]
    (request,) = backend.requests
    assert request.sampling.temperature == 0
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[-1].content == QUESTION


async def test_question_stands_alone_where_the_model_fails() -> None:
    backend = FakeBackend(lambda _: [ModelNotFoundError("gone")])
    assert await expand(backend, QUESTION, "answer") == []
