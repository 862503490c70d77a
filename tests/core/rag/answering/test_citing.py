from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    Usage,
)
from llm_api.core.rag.answering.citations import (
    CitationMode,
    citation_grammar,
    required_grammar,
)
from llm_api.core.rag.answering.citing import CITING, CitingBackend
from llm_api.core.rag.answering.given import GivenCitation, GivenSource, GivenSources
from tests.fakes import CARD, FakeBackend, spoken

COLOURS = GivenSource("The grass is green. The sky is blue.", "Colours")
ANIMALS = GivenSource("Cats sleep long.", "Animals")


def sources() -> GivenSources:
    given = GivenSources()
    for source in (COLOURS, ANIMALS):
        given.add(source, is_cited=True, param="messages")
    return given


REQUEST = GenerationRequest(ChatPrompt((Message("user", "What is green?"),)), max_tokens=50)


async def events(backend: FakeBackend, request: GenerationRequest = REQUEST) -> list[Event]:
    async with aclosing(CitingBackend(backend, sources()).generate(request)) as answer:
        return [event async for event in answer]


async def said(*pieces: str) -> list[str | GivenCitation]:
    """Texts and citations of an answer; texts that follow each other are one."""
    shown: list[str | GivenCitation] = []
    for event in await events(FakeBackend(lambda _: spoken(*pieces))):
        match event:
            case TextDelta(text) if shown and isinstance(shown[-1], str):
                shown[-1] += text
            case TextDelta(text):
                shown.append(text)
            case Annotation(GivenCitation() as citation):
                shown.append(citation)
            case _:
                pass
    return shown


def quoted(shown: list[str | GivenCitation]) -> list[str]:
    """What was shown, citations as their words in brackets."""
    return [one if isinstance(one, str) else f"[{one.quote}]" for one in shown]


ANSWER = "The grass is green [1]. Cats sleep.\n[2][1] More [x] or"


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_markers_are_citations_behind_the_text_they_are_for(size: int) -> None:
    pieces = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
    assert quoted(await said(*pieces)) == [
        "The grass is green.",
        "[The grass is green.]",
        " Cats sleep.",
        "[Cats sleep long.]",
        "[The grass is green. The sky is blue.]",
        " More [x] or",
    ]


async def test_text_is_shown_as_soon_as_it_cannot_be_a_marker() -> None:
    backend = FakeBackend(lambda _: spoken("Grass ", "[", "1", "0 blades] ", "[12"))
    shown = [event.text for event in await events(backend) if isinstance(event, TextDelta)]
    assert shown == ["Grass", " [10 blades]", " [12"]


async def test_number_without_a_source_stays_text() -> None:
    assert await said("See [3].") == ["See [3]."]


async def test_model_is_told_to_cite_and_held_to_the_numbers() -> None:
    backend = FakeBackend()
    system = Message("system", "Be brief.")
    messages = (system, Message("user", "Hm?"))
    await events(backend, replace(REQUEST, prompt=ChatPrompt(messages)))
    (request,) = backend.requests
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[0].content == f"Be brief.\n\n{CITING}"
    assert request.output_format == GrammarFormat(citation_grammar(2))


async def test_backend_that_follows_no_grammar_is_asked_without_one() -> None:
    card = replace(CARD, capabilities=Capabilities(frozenset(), frozenset()))
    backend = FakeBackend(card=card)
    await events(backend)
    assert backend.requests[0].output_format is None


async def test_demanded_format_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="free text") as caught:
        await events(FakeBackend(), replace(REQUEST, output_format=JSONFormat({})))
    assert caught.value.param == "response_format"


async def test_sentence_without_a_marker_is_cited_before_the_next_is_shown() -> None:
    assert quoted(await said("The grass is green. Ca", "ts are fine. The sky is", " blue.")) == [
        "The grass is green.",
        "[The grass is green.]",
        " Cats are fine. The sky is blue.",
        "[The sky is blue.]",
    ]


@pytest.mark.parametrize("mode", ["alignment", "none"])
async def test_model_that_is_to_write_no_markers_gets_the_request_as_it_is(
    mode: CitationMode,
) -> None:
    backend = FakeBackend(lambda _: spoken("The grass is green [1]."))
    async with aclosing(CitingBackend(backend, sources(), None, mode).generate(REQUEST)) as answer:
        shown = [event async for event in answer]
    assert backend.requests == [REQUEST]
    assert TextDelta("The grass is green [1].") in shown
    assert any(isinstance(one, Annotation) for one in shown) == (mode == "alignment")


async def test_model_is_held_to_a_marker_for_each_sentence_where_that_is_required() -> None:
    backend = FakeBackend()
    async with aclosing(
        CitingBackend(backend, sources(), None, "required").generate(REQUEST)
    ) as answer:
        async for _ in answer:
            pass
    assert backend.requests[0].output_format == GrammarFormat(required_grammar(2))


async def test_sentence_before_a_call_is_cited_before_it() -> None:
    script: list[Event] = [
        Started(3),
        TextDelta("The grass is green."),
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls", Usage(3, 2)),
    ]
    kinds = [type(event) for event in await events(FakeBackend(lambda _: script))]
    assert kinds == [Started, TextDelta, Annotation, ToolCallStarted, ToolCallDelta, Finished]


async def test_calls_pass() -> None:
    script: list[Event] = [
        Started(3),
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls", Usage(3, 2)),
    ]
    backend = FakeBackend(lambda _: script)
    request = replace(REQUEST, tool_choice=ToolChoice("auto", frozenset({"f"})))
    assert await events(backend, request) == script
