from contextlib import aclosing
from dataclasses import dataclass, field, replace

import pytest

from llm_api.core.errors import (
    CollectionNotFoundError,
    ContextLengthExceededError,
    GenerationError,
    InvalidRequestError,
    OverloadedError,
)
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    Usage,
)
from llm_api.core.rag.answering.answer import RagBackend, RagOptions
from llm_api.core.rag.answering.citations import NOT_COVERED, Citation, citation_grammar
from llm_api.core.rag.answering.events import RagAnswer, Sources, Supported, read_notes
from llm_api.core.rag.answering.support import COMBINED_THRESHOLD
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.types import Document, Span
from llm_api.core.rag.vector_store import EmbeddingModel
from tests.core.rag.fakes import DIMENSION, MODEL, FakeEmbedder, FakeStore, by_lines
from tests.fakes import CARD, FakeBackend, Script, Step, spoken

DOCUMENTS = [
    Document("cats", "cats sleep long", "Cats"),
    Document("dogs", "dogs bark loud"),
    Document("tax", "income declarations are due in May"),
]


@dataclass
class Bench:
    """RagChat over fakes. The model says what `script` plays."""

    script: Script = lambda _: spoken("Cats", " sleep [1]", ".")
    context_length: int = 2048
    store: FakeStore = field(default_factory=FakeStore)
    backend: FakeBackend = field(init=False)

    def __post_init__(self) -> None:
        card = replace(CARD, context_length=self.context_length)
        self.backend = FakeBackend(self.script, card)

    async def rag(self, request: "Asked") -> RagBackend:
        ingester = Ingester(self.store, FakeEmbedder(), by_lines())
        await ingester.ingest("default", each(DOCUMENTS), lambda _: None)
        retriever = Retriever(self.store, FakeEmbedder(), score_threshold=0.3)
        return RagBackend(self.backend, retriever, self.store, FakeEmbedder(), request.options)

    async def events(self, request: "Asked") -> list[object]:
        """What comes, annotations as their values."""
        return [
            shown(event) async for event in (await self.rag(request)).generate(request.generation)
        ]

    def system(self, request: int = -1) -> str:
        """The system message that the model got."""
        prompt = self.backend.requests[request].prompt
        assert isinstance(prompt, ChatPrompt)
        assert prompt.messages[0].role == "system"
        return prompt.messages[0].content


def shown(event: Event) -> object:
    return event.value if isinstance(event, Annotation) else event


@dataclass(frozen=True)
class Asked:
    generation: GenerationRequest
    options: RagOptions


async def answered(bench: Bench, request: Asked) -> tuple[Completion, RagAnswer]:
    rag = await bench.rag(request)
    (completion,) = await collect(fan_out(rag, [request.generation]), choices=1)
    return completion, read_notes(completion)


def asking(*turns: str, verify: bool = False, top_k: int = 1, max_tokens: int = 64) -> Asked:
    """A conversation of these turns, the user's first."""
    messages = tuple(
        Message("assistant" if index % 2 else "user", turn) for index, turn in enumerate(turns)
    )
    generation = GenerationRequest(ChatPrompt(messages), max_tokens)
    return Asked(generation, RagOptions(SearchOptions("default", top_k, mode="dense"), verify))


CITED = Citation(
    1,
    Span(11, 14),
    "cats",
    Span(0, 15),
    "cats sleep long",
    "model",
    Span(0, 15),
    0.0,
    supported=True,
)


def documents(event: object) -> list[str]:
    assert isinstance(event, Sources)
    return [one.chunk.document_id for one in event.given]


async def test_sources_come_first_then_text_with_citations_and_usage_last() -> None:
    started, sources, *rest = await Bench().events(asking("when do cats sleep"))
    assert (started, documents(sources)) == (Started(5), ["cats"])
    citation = rest[3]
    assert isinstance(citation, Citation)
    assert citation.score >= COMBINED_THRESHOLD
    assert rest == [
        TextDelta("Cats"),
        TextDelta(" sleep [1]"),
        TextDelta("."),
        replace(CITED, score=citation.score),
        Finished("stop", Usage(5, 3, cached_tokens=2)),
    ]


async def test_sources_are_in_the_prompt_and_markers_are_limited_to_them() -> None:
    bench = Bench()
    await bench.events(asking("when do cats sleep"))
    (request,) = bench.backend.requests
    assert '<source number="1" name="Cats">\ncats sleep long\n</source>' in bench.system()
    assert "dogs" not in bench.system()
    assert request.output_format == GrammarFormat(citation_grammar(1))
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[1:] == (Message("user", "when do cats sleep"),)


async def test_backend_that_follows_no_grammar_gets_none() -> None:
    bench = Bench()
    abilities = CARD.capabilities.abilities - {"grammar"}
    bench.backend.card = replace(CARD, capabilities=Capabilities(abilities))
    await bench.events(asking("when do cats sleep"))
    assert bench.backend.requests[0].output_format is None


async def test_format_that_the_request_asks_for_stays() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    wanted = replace(request.generation, output_format=JSONFormat({}))
    await bench.events(replace(request, generation=wanted))
    assert bench.backend.requests[0].output_format == JSONFormat({})


async def test_markers_of_a_sentence_are_cited_each() -> None:
    bench = Bench(lambda _: spoken("Cats [", "1", "] and [1][1]."))
    events = await bench.events(asking("when do cats sleep"))
    assert [type(event) for event in events[2:]] == [TextDelta] * 3 + [Citation] * 3 + [Finished]
    places = [event.marker for event in events if isinstance(event, Citation)]
    assert places == [Span(5, 8), Span(13, 16), Span(16, 19)]


async def test_reasoning_is_passed_on_and_cites_nothing() -> None:
    bench = Bench(
        lambda _: [Started(5), ReasoningDelta("Is it [1]?"), Finished("stop", Usage(5, 9))]
    )
    events = await bench.events(asking("when do cats sleep"))
    assert (events[0], events[2]) == (Started(5), ReasoningDelta("Is it [1]?"))
    assert not any(isinstance(event, Citation) for event in events)


async def test_support_comes_before_the_end_where_it_is_asked_for() -> None:
    events = await Bench().events(asking("when do cats sleep", verify=True))
    verdict = events[-2]
    assert isinstance(verdict, Supported)
    assert [(one.sentence, one.supported) for one in verdict.sentences] == [
        ("Cats sleep [1].", True)
    ]
    assert isinstance(events[-1], Finished)


async def test_verdicts_and_citations_are_those_of_one_comparison() -> None:
    events = await Bench(lambda _: spoken("cats sleep long. ", "Taxes are due.")).events(
        asking("when do cats sleep", verify=True)
    )
    [citation] = [event for event in events if isinstance(event, Citation)]
    [verdict] = [event for event in events if isinstance(event, Supported)]
    assert citation.by == "alignment"
    first, second = verdict.sentences
    assert (first.place, first.span, first.score) == (
        citation.sentence,
        citation.span,
        citation.score,
    )
    assert (first.supported, second.supported) == (True, False)


async def test_answer_in_a_format_of_its_own_is_cited_by_its_markers_alone() -> None:
    bench, request = Bench(lambda _: spoken("cats sleep long")), asking("when do cats sleep")
    wanted = replace(request.generation, output_format=JSONFormat({}))
    events = await bench.events(replace(request, generation=wanted))
    assert not any(isinstance(event, Citation) for event in events)


async def test_quotes_are_cited_to_the_letter() -> None:
    request = asking("when do cats sleep", verify=True)
    request = replace(request, options=replace(request.options, quotes=True))
    bench = Bench(lambda _: spoken('"cats sleep', ' long" [1]'))
    *_, citation, verdict, _ = await bench.events(request)
    assert isinstance(citation, Citation)
    assert (citation.quote, citation.marker) == ("cats sleep long", Span(18, 21))
    assert isinstance(verdict, Supported)
    assert [one.supported for one in verdict.sentences] == [True]
    assert "quotation marks" in bench.system()


async def test_collection_that_is_not_there_is_an_error_that_names_the_others() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    search = replace(request.options.search, collection="pets")
    with pytest.raises(CollectionNotFoundError) as caught:
        await bench.events(replace(request, options=RagOptions(search)))
    assert caught.value.message == (
        "There is no collection 'pets'. Collections with documents: 'default'."
    )


async def test_empty_collection_is_told_from_one_that_does_not_cover_the_question() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    await bench.store.create_collection("pets", EmbeddingModel(MODEL, DIMENSION))
    search = replace(request.options.search, collection="pets")
    events = await bench.events(replace(request, options=RagOptions(search)))
    assert events[2] == TextDelta(
        "The collection 'pets' is empty: no document is stored in it. Collections with documents:"
        " 'default'."
    )
    assert bench.backend.requests == []


async def test_several_collections_are_searched_and_each_source_says_whose_it_is() -> None:
    bench, request = Bench(), asking("when do cats sleep, when do birds sleep", top_k=2)
    ingester = Ingester(bench.store, FakeEmbedder(), by_lines())
    birds = Document("birds", "birds sleep when cats sleep")
    await ingester.ingest("pets", each([birds]), lambda _: None)
    options = replace(request.options, collections=("default", "pets", "default"))
    events = await bench.events(replace(request, options=options))
    assert isinstance(events[1], Sources)
    assert {(hit.chunk.document_id, hit.collection) for hit in events[1].given} == {
        ("birds", "pets"),
        ("cats", "default"),
    }
    lost = replace(request.options, collections=("default", "gone"))
    with pytest.raises(CollectionNotFoundError, match="no collection 'gone'"):
        await bench.events(replace(request, options=lost))


async def test_several_collections_that_are_empty_are_said_to_be() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    for name in ("one", "two"):
        await bench.store.create_collection(name, EmbeddingModel(MODEL, DIMENSION))
    options = replace(request.options, collections=("one", "two"))
    events = await bench.events(replace(request, options=options))
    assert isinstance(events[2], TextDelta)
    assert events[2].text.startswith("The collections 'one', 'two' are empty: no document")


async def test_server_without_documents_says_so() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    rag = await bench.rag(request)
    await bench.store.delete_documents("default", [one.id for one in DOCUMENTS])
    events = [shown(event) async for event in rag.generate(request.generation)]
    assert isinstance(events[2], TextDelta)
    assert events[2].text.endswith("No collection has documents yet.")


async def test_model_is_not_asked_where_no_document_covers_the_question() -> None:
    bench = Bench()
    events = await bench.events(asking("capital of France"))
    assert events == [
        Started(0),
        Sources("capital of France"),
        TextDelta(NOT_COVERED),
        Finished("stop", Usage(0, 0)),
    ]
    assert bench.backend.requests == []


async def test_folded_events_are_the_whole_answer() -> None:
    completion, notes = await answered(Bench(), asking("when do cats sleep", verify=True))
    assert documents(notes.sources) == ["cats"]
    assert completion.text == "Cats sleep [1]."
    assert completion.finished.usage == Usage(5, 3, cached_tokens=2)
    assert [citation.quote for citation in notes.citations] == ["cats sleep long"]
    assert notes.support is not None
    assert [one.sentence for one in notes.support] == ["Cats sleep [1]."]


async def test_answer_that_is_not_verified_has_no_verdict() -> None:
    _, notes = await answered(Bench(), asking("when do cats sleep"))
    assert notes.support is None


async def test_answer_that_breaks_off_is_no_answer() -> None:
    bench = Bench(lambda _: [*spoken("Cats")[:-1], GenerationError("The engine failed.")])
    with pytest.raises(GenerationError):
        await answered(bench, asking("when do cats sleep"))


async def test_question_of_nobody_is_refused() -> None:
    request = asking("when do cats sleep")
    generation = replace(request.generation, prompt=ChatPrompt((Message("system", "Hi"),)))
    with pytest.raises(InvalidRequestError):
        await Bench().events(replace(request, generation=generation))


async def test_backend_that_refuses_is_heard_before_any_event() -> None:
    bench = Bench(lambda _: [OverloadedError("Full.", retry_after_seconds=1)])
    with pytest.raises(OverloadedError):
        await bench.events(asking("when do cats sleep"))


@pytest.mark.parametrize("events_read", [1, 2, 3])
async def test_leaving_aborts_the_model(events_read: int) -> None:
    bench = Bench()
    request = asking("when do cats sleep")
    rag = await bench.rag(request)
    async with aclosing(rag.generate(request.generation)) as events:
        for _ in range(events_read):
            await anext(events)
    assert (len(bench.backend.aborted), len(bench.backend.completed)) == (1, 0)


# Follow-ups


def rewriting(request: GenerationRequest) -> list[Step]:
    """Answers, and rewrites when that is what it is asked for."""
    if request.output_format is None:
        return spoken("when do dogs bark", prompt_tokens=30)
    return spoken("They bark [1].")


async def test_follow_up_is_searched_for_as_the_model_rewrites_it() -> None:
    bench = Bench(rewriting)
    request = asking("why do dogs bark", "Because [1].", "when do they bark?")
    events = await bench.events(request)
    assert isinstance(events[1], Sources)
    assert events[1].question == "when do dogs bark"
    assert documents(events[1]) == ["dogs"]
    assert events[-1] == Finished("stop", Usage(35, 2, cached_tokens=4))


async def test_question_that_stands_alone_is_not_rewritten() -> None:
    bench = Bench()
    await bench.events(asking("why do dogs bark", "Because [1].", "how long do cats sleep"))
    assert len(bench.backend.requests) == 1


async def test_first_question_is_never_rewritten() -> None:
    bench = Bench()
    await bench.events(asking("do they sleep long?"))
    assert len(bench.backend.requests) == 1


async def test_usage_of_rewriting_counts_where_nothing_is_found() -> None:
    bench = Bench(lambda _: spoken("France France?", prompt_tokens=30))
    events = await bench.events(asking("capital of France", "No.", "France?"))
    assert events[-1] == Finished("stop", Usage(30, 1, cached_tokens=2))


async def test_follow_up_keeps_the_sources_of_the_turns_before_in_front() -> None:
    bench = Bench()
    await bench.events(asking("why do dogs bark"))
    events = await bench.events(asking("why do dogs bark", "So.", "how long do cats sleep"))
    assert documents(events[1]) == ["dogs", "cats"]
    assert bench.system(1).startswith(bench.system(0))


async def test_earlier_source_that_is_deleted_meanwhile_is_gone() -> None:
    bench = Bench()
    request = asking("why do dogs bark", "So.", "how long do cats sleep")
    rag = await bench.rag(request)
    await bench.store.delete_documents("default", ["dogs"])
    events = [shown(event) async for event in rag.generate(request.generation)]
    assert documents(events[1]) == ["cats"]


# Room


async def test_source_without_room_is_left_out_by_name() -> None:
    everything = asking("cats sleep dogs bark", top_k=2)
    roomy, tight = Bench(), Bench(context_length=144)
    assert documents((await roomy.events(everything))[1]) == ["cats", "dogs"]
    sources = (await tight.events(everything))[1]
    assert isinstance(sources, Sources)
    assert documents(sources) == ["cats"]
    assert [one.chunk.document_id for one in sources.omitted] == ["dogs"]


def refuses_long(request: GenerationRequest) -> list[Step]:
    """A template that takes more room than was reckoned."""
    assert isinstance(request.prompt, ChatPrompt)
    if request.prompt.messages[0].content.count("</source>") > 1:
        return [ContextLengthExceededError("Too long.", param="messages")]
    return spoken("Fine [1].")


async def test_prompt_that_the_backend_finds_too_long_is_tried_with_a_source_less() -> None:
    bench = Bench(refuses_long)
    events = await bench.events(asking("cats sleep dogs bark", top_k=2))
    assert documents(events[1]) == ["cats"]
    assert [len(bench.backend.requests), bench.system().count("</source>")] == [2, 1]


async def test_conversation_without_room_for_a_source_is_refused() -> None:
    bench = Bench(context_length=64)
    with pytest.raises(ContextLengthExceededError):
        await bench.events(asking("when do cats sleep"))
    assert bench.backend.requests == []


async def test_long_answer_that_is_allowed_takes_half_the_context_at_most() -> None:
    bench = Bench(context_length=1000)
    assert documents((await bench.events(asking("when do cats sleep", max_tokens=5000)))[1])
