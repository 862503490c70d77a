"""Answers from documents, wire to domain and back: tables."""

import json
from dataclasses import replace

import pytest

from llm_api.api.mapping.rag.chat import (
    RagAnswerWriter,
    to_generation_request,
    to_rag_options,
    to_top_k,
)
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.rag.chat import RagChatRequest, RagParameters
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.types import (
    Addition,
    Annotation,
    ChatPrompt,
    GenerationRequest,
    Message,
    ReasoningDelta,
    TextDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.rag.answering.answer import RagOptions
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.events import Sources, Supported
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Span
from tests.api.mapping.rag.values import WIRE_CATS, cats, dogs
from tests.api.mapping.values import HEAD, ended

DEFAULTS = GenerationDefaults(max_tokens=99, temperature=0.25)
WRITER = RagAnswerWriter(HEAD)
SOURCES = Sources("when?", (cats(),), (dogs(),))
CITATION = Citation(
    1,
    Span(11, 14),
    "cats",
    Span(3, 13),
    "cats sleep",
    "model",
    Span(0, 15),
    0.876543,
    supported=True,
)
SUPPORT = Support("Cats sleep.", Span(0, 11), True, 0.123456, "cats", Span(3, 18))
NO_SUPPORT = Support("Dogs.", Span(12, 17), False, 0.0)
WIRE_CITATION = {
    "number": 1,
    "marker": {"start": 11, "end": 14},
    "document_id": "cats",
    "span": {"start": 3, "end": 13},
    "quote": "cats sleep",
    "by": "model",
    "sentence": {"start": 0, "end": 15},
    "score": 0.8765,
    "supported": True,
}
WIRE_SUPPORT = [
    {
        "sentence": "Cats sleep.",
        "place": {"start": 0, "end": 11},
        "supported": True,
        "score": 0.1235,
        "document_id": "cats",
        "span": {"start": 3, "end": 18},
    },
    {
        "sentence": "Dogs.",
        "place": {"start": 12, "end": 17},
        "supported": False,
        "score": 0.0,
        "document_id": None,
        "span": None,
    },
]


def asked(**given: object) -> RagChatRequest:
    return RagChatRequest.model_validate(given)


def mapped(**given: object) -> GenerationRequest:
    return to_generation_request(asked(**given), DEFAULTS)


def sent(model: AnswerModel | None) -> tuple[str | None, dict[str, object]]:
    """The event's name, and what the client reads."""
    assert model is not None
    return model.EVENT, json.loads(model.to_json())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, RagOptions(SearchOptions("default", 4))),
        ({"verify": True, "top_k": 2}, RagOptions(SearchOptions("default", 2), verifies=True)),
        ({"citations": "none"}, RagOptions(SearchOptions("default", 4), citations="none")),
        ({"quote": True}, RagOptions(SearchOptions("default", 4), quotes=True)),
    ],
)
def test_options_are_what_is_said(given: dict[str, object], wanted: RagOptions) -> None:
    found = to_rag_options(RagParameters.model_validate(given), 4)
    assert replace(found, search=replace(found.search, unsaid=frozenset())) == wanted


@pytest.mark.parametrize("name", ["top_k", "num_context_docs"])
def test_number_of_chunks_that_is_said_is_not_the_collections_choice(name: str) -> None:
    options = to_rag_options(asked(query="when?", **{name: 3}), 3)
    assert options.search.unsaid == {"mode", "score_threshold", "diversity"}


@pytest.mark.parametrize("mode", ["alignment", "none"])
def test_quotes_without_their_markers_are_refused(mode: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_rag_options(RagParameters.model_validate({"quote": True, "citations": mode}), 4, "rag.")
    assert caught.value.param == "rag.citations"


@pytest.mark.parametrize(
    ("given", "top_k"),
    [
        ({}, 4),
        ({"top_k": 2}, 2),
        ({"num_context_docs": 3}, 3),
        ({"top_k": 2, "num_context_docs": 2}, 2),
    ],
)
def test_top_k_has_two_names(given: dict[str, object], top_k: int) -> None:
    assert to_top_k(asked(query="when?", **given), 4) == top_k


def test_two_values_of_top_k_are_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_top_k(asked(query="when?", top_k=1, num_context_docs=2), 4)
    assert caught.value.param == "top_k"


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"query": "when?"}, (Message("user", "when?"),)),
        (
            {"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]},
            (Message("system", "a"), Message("user", "b")),
        ),
    ],
)
def test_question_is_a_query_or_a_conversation(
    given: dict[str, object], messages: tuple[Message, ...]
) -> None:
    request = mapped(**given, stop="x", seed=3)
    assert request.prompt == ChatPrompt(messages)
    assert (request.stop, request.sampling.seed, request.sampling.temperature) == (("x",), 3, 0.25)
    assert request.max_tokens == 99


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({}, InvalidRequestError, "query"),
        (
            {"query": "a", "messages": [{"role": "user", "content": "b"}]},
            InvalidRequestError,
            "query",
        ),
        ({"query": "a", "n": 2}, UnsupportedParameterError, "n"),
        ({"query": "a", "stream_options": {}}, InvalidRequestError, "stream_options"),
        ({"query": "a", "guided_regex": "a", "grammar": "b"}, InvalidRequestError, "grammar"),
    ],
)
def test_parameter_at_fault_is_named(
    given: dict[str, object], kind: type[InvalidRequestError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        mapped(**given)
    assert caught.value.param == param


def test_whole_answer_has_sources_and_citations() -> None:
    completion = Completion("Cats sleep [1].", (), ended(), annotations=(SOURCES, CITATION))
    event, answer = sent(WRITER.whole([completion]))
    usage = answer.pop("usage")
    assert isinstance(usage, dict)
    assert usage["total_tokens"] == 8
    omitted = answer.pop("omitted")
    assert isinstance(omitted, list)
    assert [hit["chunk_id"] for hit in omitted] == ["d-1"]
    assert event is None
    assert answer == {
        "id": "x-1",
        "object": "rag.answer",
        "created": 1_700_000_000,
        "model": "m",
        "answer": "Cats sleep [1].",
        "question": "when?",
        "sources": [{**WIRE_CATS, "number": 1, "collection": "my pets"}],
        "citations": [WIRE_CITATION],
        "finish_reason": "stop",
    }


def test_whole_answer_has_support_and_reasoning_where_there_are_such() -> None:
    notes = (SOURCES, Supported((SUPPORT, NO_SUPPORT)))
    completion = Completion("Cats.", (), ended(), reasoning="Hm.", annotations=notes)
    _, answer = sent(WRITER.whole([completion]))
    assert (answer["support"], answer["reasoning"]) == (WIRE_SUPPORT, "Hm.")


@pytest.mark.parametrize(
    ("delta", "event", "data"),
    [
        (TextDelta("a"), "text", {"text": "a"}),
        (ReasoningDelta("a"), "reasoning", {"text": "a"}),
        (Annotation(CITATION), "citation", WIRE_CITATION),
        (Annotation(Supported((SUPPORT, NO_SUPPORT))), "support", {"support": WIRE_SUPPORT}),
        (
            Annotation(Sources("when?", (cats(),))),
            "sources",
            {
                "question": "when?",
                "sources": [{**WIRE_CATS, "number": 1, "collection": "my pets"}],
                "omitted": [],
            },
        ),
    ],
)
def test_delta_is_an_event_of_its_name(
    delta: Addition, event: str, data: dict[str, object]
) -> None:
    assert sent(WRITER.delta(0, delta)) == (event, data)


def test_stream_opens_with_its_sources_and_tells_the_end_and_the_usage() -> None:
    WRITER.opening(0)
    assert WRITER.delta(0, ToolCallStarted(0, "c1", "add")) is None
    assert sent(WRITER.closing(0, ended("length"))) == ("finish", {"finish_reason": "length"})
    event, data = sent(WRITER.usage(Usage(5, 3)))
    assert event == "usage"
    assert isinstance(data["usage"], dict)
    assert data["usage"]["total_tokens"] == 8
