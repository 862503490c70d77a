import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from llm_api.core.llm.types import Annotation, Event, Finished, ReasoningDelta, TextDelta, Usage
from llm_api.core.rag.answering.citations import Citation, CitationMode
from llm_api.core.rag.answering.citer import Citer, cited_events
from llm_api.core.rag.types import Chunk, Span
from tests.core.rag.fakes import FakeEmbedder

HEAD = "Cut off. "
FIRST = "Docker packs programs in containers. A container shares the kernel. Images are layers."
SECOND = "Der Rhein ist 1.233 km lang. Er flie\u00dft durch K\u00f6ln."
SOURCES = [
    Chunk("c1", "d1", 0, FIRST, Span(len(HEAD), len(HEAD) + len(FIRST))),
    Chunk("c2", "d2", 0, SECOND, Span(0, len(SECOND))),
]


async def cited(
    answer: str, mode: CitationMode = "both", embedder: FakeEmbedder | None = None
) -> list[Citation]:
    """The citations of an answer that comes in words, by words alone."""
    citer = Citer(SOURCES, embedder, mode)
    for word in answer.split(" "):
        citer.add(f"{word} ")
    citer.end()
    found = [citation for one in await citer.all() for citation in one.citations]
    await citer.aclose()
    return found


async def quotes(answer: str, mode: CitationMode = "model") -> list[tuple[int, str]]:
    return [(one.number, one.quote) for one in await cited(answer, mode)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("No marker [note] [0] [x1].", []),
        ("It shares the host's kernel [1].", [(1, "A container shares the kernel.")]),
        ("It shares the kernel. [1]", [(1, "A container shares the kernel.")]),
        ("It shares the kernel.[1] Images have layers.", [(1, "A container shares the kernel.")]),
        ("[1] Images have layers.", [(1, "Images are layers.")]),
        ("According to [1] images have layers.", [(1, "Images are layers.")]),
        (
            "Images are layers [1]. The Rhine (Rhein) has 1.233 km [2].",
            [(1, "Images are layers."), (2, "Der Rhein ist 1.233 km lang.")],
        ),
        ("Layers [7].", []),
        ("Nothing alike [2].", [(2, SECOND)]),
        ("[2]", [(2, SECOND)]),
    ],
)
async def test_marker_quotes_what_its_sentence_is_about(
    answer: str, expected: list[tuple[int, str]]
) -> None:
    assert await quotes(answer) == expected


async def test_sentence_without_a_marker_is_aligned_to_what_supports_it() -> None:
    answer = "Images are layers. Whales sing. A container shares the kernel."
    assert await quotes(answer, "both") == [
        (1, "Images are layers."),
        (1, "A container shares the kernel."),
    ]
    aligned, _ = await cited(answer)
    assert (aligned.by, aligned.supported) == ("alignment", True)
    assert aligned.sentence == Span(0, 18)
    assert aligned.marker == Span(18, 18)
    assert (HEAD + FIRST)[aligned.span.start : aligned.span.end] == aligned.quote


async def test_marker_of_a_source_that_supports_the_sentence_is_enough() -> None:
    [citation] = await cited("Images are layers [1].")
    assert (citation.by, citation.supported) == ("model", True)
    assert (citation.marker, citation.sentence) == (Span(18, 21), Span(0, 22))


async def test_wrong_marker_stays_and_what_supports_the_sentence_stands_beside_it() -> None:
    wrong, right = await cited("Images are layers [2].")
    assert (wrong.number, wrong.by, wrong.supported) == (2, "model", False)
    assert wrong.quote in SECOND
    assert (right.number, right.by, right.quote) == (1, "alignment", "Images are layers.")


async def test_marker_of_a_remark_is_for_the_sentence_before_it() -> None:
    answer = "Images are layers. This information is provided in the source [1]."
    aligned, marked = await cited(answer)
    assert (aligned.by, marked.by) == ("alignment", "model")
    assert marked.quote == "Images are layers."
    assert (marked.sentence, marked.marker) == (Span(0, 18), Span(62, 65))
    assert marked.supported


async def test_marker_without_any_word_quotes_what_is_like_the_question() -> None:
    citer = Citer(SOURCES, None, question="What are images?")
    citer.add("[1]")
    citer.end()
    [one] = await citer.all()
    await citer.aclose()
    [citation] = one.citations
    assert (citation.quote, citation.marker) == ("Images are layers.", Span(0, 3))


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("model", ["model"]),
        ("alignment", ["alignment", "alignment"]),
        ("both", ["alignment", "model"]),
        ("required", ["alignment", "model"]),
        ("none", []),
    ],
)
async def test_mode_says_where_citations_come_from(mode: CitationMode, kinds: list[str]) -> None:
    answer = "Images are layers. A container shares the kernel [1]."
    assert [one.by for one in await cited(answer, mode)] == kinds


async def test_without_citations_and_verdicts_nothing_is_embedded() -> None:
    embedder = FakeEmbedder()
    assert await cited("Images are layers [1].", "none", embedder) == []
    assert embedder.requests == []


async def test_each_sentence_has_its_support_where_that_is_asked_for() -> None:
    citer = Citer(SOURCES, None, "none", verifies=True)
    citer.add("Images are layers [1]. Whales sing [2]. [1]")
    citer.end()
    await citer.all()
    await citer.aclose()
    assert [(one.sentence, one.supported) for one in citer.support] == [
        ("Images are layers [1].", True),
        ("Whales sing [2].", False),
    ]
    assert citer.support[0].document_id == "d1"


async def model(*steps: Event | asyncio.Event) -> AsyncGenerator[Event, None]:
    for step in steps:
        if isinstance(step, asyncio.Event):
            await step.wait()
        else:
            yield step


async def shown(events: Sequence[Event], citer: Citer) -> list[object]:
    async with aclosing(cited_events(model(*events), citer)) as stream:
        return [one.value if isinstance(one, Annotation) else one async for one in stream]


END = Finished("stop", Usage(5, 3))


async def test_citation_follows_its_sentence_and_all_come_before_the_end() -> None:
    events: list[Event] = [
        ReasoningDelta("Images are layers. Next."),
        TextDelta("Images are layers."),
        TextDelta(" A container shares the kernel."),
        END,
    ]
    stream = await shown(events, Citer(SOURCES, None))
    assert [one for one in stream if not isinstance(one, Citation)] == events
    cited = [one for one in stream if isinstance(one, Citation)]
    assert [one.quote for one in cited] == ["Images are layers.", "A container shares the kernel."]
    assert isinstance(stream[-2], Citation)
    assert stream.index(cited[0]) > 2


async def test_text_waits_for_no_citation() -> None:
    slow = FakeEmbedder(seconds=60)
    words = [TextDelta("Images are layers. "), TextDelta("Next "), TextDelta("word")]
    async with aclosing(cited_events(model(*words, asyncio.Event()), Citer(SOURCES, slow))) as all_:
        async with asyncio.timeout(30):
            assert [await anext(all_) for _ in words] == words


async def test_citation_comes_while_the_model_goes_on() -> None:
    async def endless() -> AsyncGenerator[Event, None]:
        yield TextDelta("Images are layers. ")
        while True:
            yield TextDelta("More ")
            await asyncio.sleep(0.001)

    async with (
        asyncio.timeout(30),
        aclosing(endless()) as events,
        aclosing(cited_events(events, Citer(SOURCES, None))) as stream,
    ):
        async for event in stream:
            if isinstance(event, Annotation):
                break
