import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import pytest

from llm_api.core.errors import (
    ContextLengthExceededError,
    GenerationError,
    InvalidRequestError,
    OverloadedError,
)
from llm_api.core.llm.types import (
    ChatPrompt,
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
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag_chat.answer import NOT_COVERED, Citing, RagChat, RagRequest
from llm_api.core.rag_chat.events import Cited, RagEvent, Sources, Supported, collect_answer
from llm_api.core.rag_chat.grounding import Talker
from tests.core.rag.fakes import BY_LINES, FakeEmbedder, FakeStore
from tests.core.rag_chat.fakes import Verdict
from tests.fakes import CARD, FakeBackend, Script, Step, spoken

DOCUMENTS = [
    Document("cats", "cats sleep long", "Cats"),
    Document("dogs", "dogs bark loud"),
    Document("tax", "income declarations are due in May"),
]


@dataclass(frozen=True)
class Marker:
    """As `Citation`."""

    number: int
    marker: Span
    document_id: str
    span: Span
    quote: str


def find(answer: str, sources: Sequence[Chunk]) -> list[Marker]:
    found = []
    for match in re.finditer(r"\[(\d)\]", answer):
        source = sources[int(match[1]) - 1]
        place = Span(*match.span())
        found.append(Marker(int(match[1]), place, source.document_id, source.span, source.text))
    return found


async def verify(answer: str, _: Sequence[Chunk]) -> list[Verdict]:
    return [Verdict(sentence) for sentence in answer.split(". ")]


def grammar(sources: int) -> str:
    return f"markers up to {sources}"


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

    async def chat(self) -> RagChat:
        ingester = Ingester(self.store, FakeEmbedder(), BY_LINES)
        await ingester.ingest("default", each(DOCUMENTS), lambda _: None)
        retriever = Retriever(self.store, FakeEmbedder(), score_threshold=0.3)
        return RagChat(retriever, Citing(grammar, find), verify)

    @property
    def talker(self) -> Talker:
        return Talker(self.backend, lambda text: len(text.split()))

    async def events(self, request: RagRequest) -> list[RagEvent]:
        return [event async for event in (await self.chat()).answer(self.talker, request)]

    def system(self, request: int = -1) -> str:
        """The system message that the model got."""
        prompt = self.backend.requests[request].prompt
        assert isinstance(prompt, ChatPrompt)
        assert prompt.messages[0].role == "system"
        return prompt.messages[0].content


def asking(*turns: str, verify: bool = False, top_k: int = 1, max_tokens: int = 64) -> RagRequest:
    """A conversation of these turns, the user's first."""
    messages = tuple(
        Message("assistant" if index % 2 else "user", turn) for index, turn in enumerate(turns)
    )
    generation = GenerationRequest(ChatPrompt(messages), max_tokens, scope="key 7")
    return RagRequest(generation, SearchOptions("default", top_k, mode="dense"), verify)


def documents(event: RagEvent) -> list[str]:
    assert isinstance(event, Sources)
    return [one.hit.chunk.document_id for one in event.given]


async def test_sources_come_first_then_text_with_citations_and_usage_last() -> None:
    sources, *rest = await Bench().events(asking("when do cats sleep"))
    assert documents(sources) == ["cats"]
    assert rest == [
        Started(5),
        TextDelta("Cats"),
        TextDelta(" sleep [1]"),
        Cited(Marker(1, Span(11, 14), "cats", Span(0, 15), "cats sleep long")),
        TextDelta("."),
        Finished("stop", Usage(5, 3, cached_tokens=2)),
    ]


async def test_sources_are_in_the_prompt_and_markers_are_limited_to_them() -> None:
    bench = Bench()
    await bench.events(asking("when do cats sleep"))
    (request,) = bench.backend.requests
    assert '<source number="1" name="Cats">\ncats sleep long\n</source>' in bench.system()
    assert "dogs" not in bench.system()
    assert request.output_format == GrammarFormat("markers up to 1")
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[1:] == (Message("user", "when do cats sleep"),)


async def test_format_that_the_request_asks_for_stays() -> None:
    bench, request = Bench(), asking("when do cats sleep")
    wanted = replace(request.generation, output_format=JSONFormat({}))
    await bench.events(replace(request, generation=wanted))
    assert bench.backend.requests[0].output_format == JSONFormat({})


async def test_marker_in_pieces_is_cited_once_it_is_complete() -> None:
    bench = Bench(lambda _: spoken("Cats [", "1", "] and [1][1]."))
    events = await bench.events(asking("when do cats sleep"))
    assert [type(event) for event in events[2:]] == [TextDelta] * 3 + [Cited] * 3 + [Finished]
    places = [event.citation.marker for event in events if isinstance(event, Cited)]
    assert places == [Span(5, 8), Span(13, 16), Span(16, 19)]


async def test_reasoning_is_passed_on_and_cites_nothing() -> None:
    bench = Bench(
        lambda _: [Started(5), ReasoningDelta("Is it [1]?"), Finished("stop", Usage(5, 9))]
    )
    events = await bench.events(asking("when do cats sleep"))
    assert events[1:3] == [Started(5), ReasoningDelta("Is it [1]?")]
    assert not any(isinstance(event, Cited) for event in events)


async def test_support_comes_before_the_end_where_it_is_asked_for() -> None:
    events = await Bench().events(asking("when do cats sleep", verify=True))
    assert events[-2] == Supported((Verdict("Cats sleep [1]."),))
    assert isinstance(events[-1], Finished)


async def test_model_is_not_asked_where_no_document_covers_the_question() -> None:
    bench = Bench()
    events = await bench.events(asking("capital of France"))
    assert events == [
        Sources("capital of France"),
        Started(0),
        TextDelta(NOT_COVERED),
        Finished("stop", Usage(0, 0)),
    ]
    assert bench.backend.requests == []


async def test_folded_events_are_the_whole_answer() -> None:
    bench = Bench()
    chat = await bench.chat()
    request = asking("when do cats sleep", verify=True)
    answer = await collect_answer(chat.answer(bench.talker, request))
    assert documents(answer.sources) == ["cats"]
    assert answer.completion.text == "Cats sleep [1]."
    assert answer.completion.finished.usage == Usage(5, 3, cached_tokens=2)
    assert [citation.quote for citation in answer.citations] == ["cats sleep long"]
    assert [one.sentence for one in answer.support] == ["Cats sleep [1]."]


async def test_answer_that_breaks_off_is_no_answer() -> None:
    bench = Bench(lambda _: [*spoken("Cats")[:-1], GenerationError("The engine failed.")])
    chat = await bench.chat()
    with pytest.raises(GenerationError):
        await collect_answer(chat.answer(bench.talker, asking("when do cats sleep")))


async def test_question_of_nobody_is_refused() -> None:
    request = asking("when do cats sleep")
    generation = replace(request.generation, prompt=ChatPrompt((Message("system", "Hi"),)))
    with pytest.raises(InvalidRequestError):
        await Bench().events(replace(request, generation=generation))


async def test_backend_that_refuses_is_heard_before_any_event() -> None:
    bench = Bench(lambda _: [OverloadedError("Full.", retry_after_seconds=1)])
    with pytest.raises(OverloadedError):
        await anext((await bench.chat()).answer(bench.talker, asking("when do cats sleep")))


@pytest.mark.parametrize("events_read", [1, 2, 3])
async def test_leaving_aborts_the_model(events_read: int) -> None:
    bench = Bench()
    chat = await bench.chat()
    async with aclosing(chat.answer(bench.talker, asking("when do cats sleep"))) as events:
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
    assert isinstance(events[0], Sources)
    assert events[0].question == "when do dogs bark"
    assert documents(events[0]) == ["dogs"]
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
    (first,) = (await bench.events(asking("why do dogs bark", "So.", "how long do cats sleep")),)
    assert documents(first[0]) == ["dogs", "cats"]
    assert bench.system(1).startswith(bench.system(0))


async def test_earlier_source_that_is_deleted_meanwhile_is_gone() -> None:
    bench = Bench()
    chat = await bench.chat()
    await bench.store.delete_documents("default", ["dogs"])
    request = asking("why do dogs bark", "So.", "how long do cats sleep")
    answer = await collect_answer(chat.answer(bench.talker, request))
    assert documents(answer.sources) == ["cats"]


# Room


async def test_source_without_room_is_left_out_by_name() -> None:
    everything = asking("cats sleep dogs bark", top_k=2)
    roomy, tight = Bench(), Bench(context_length=144)
    assert documents((await roomy.events(everything))[0]) == ["cats", "dogs"]
    sources = (await tight.events(everything))[0]
    assert isinstance(sources, Sources)
    assert documents(sources) == ["cats"]
    assert [one.hit.chunk.document_id for one in sources.omitted] == ["dogs"]


def refuses_long(request: GenerationRequest) -> list[Step]:
    """A template that takes more room than was reckoned."""
    assert isinstance(request.prompt, ChatPrompt)
    if request.prompt.messages[0].content.count("</source>") > 1:
        return [ContextLengthExceededError("Too long.", param="messages")]
    return spoken("Fine [1].")


async def test_prompt_that_the_backend_finds_too_long_is_tried_with_a_source_less() -> None:
    bench = Bench(refuses_long)
    events = await bench.events(asking("cats sleep dogs bark", top_k=2))
    assert documents(events[0]) == ["cats"]
    assert [len(bench.backend.requests), bench.system().count("</source>")] == [2, 1]


async def test_conversation_without_room_for_a_source_is_refused() -> None:
    bench = Bench(context_length=64)
    with pytest.raises(ContextLengthExceededError):
        await bench.events(asking("when do cats sleep"))
    assert bench.backend.requests == []


async def test_long_answer_that_is_allowed_takes_half_the_context_at_most() -> None:
    bench = Bench(context_length=1000)
    assert documents((await bench.events(asking("when do cats sleep", max_tokens=5000)))[0])
