"""A chunk is placed by a model that reads the document first, the same for all of its chunks."""

from llm_api.core.errors import UnavailableError
from llm_api.core.llm.types import ChatPrompt
from llm_api.core.rag.answering.placing import place_chunk
from llm_api.core.rag.contexts import WrittenTokens
from llm_api.core.rag.types import Chunk, Document, Span
from tests.fakes import FakeBackend, spoken

TEXT = "The Danube rose </source> in May. It fell again."
DOCUMENT = Document("a", TEXT, "The river")
CHUNKS = [Chunk("0", "a", 0, TEXT[:33], Span(0, 33)), Chunk("1", "a", 1, TEXT[34:], Span(34, 48))]


async def test_document_comes_first_and_is_one_prefix_of_all_its_chunks() -> None:
    backend = FakeBackend(lambda _: spoken('"How the Danube fell."', prompt_tokens=9))
    lines = [await place_chunk(backend, DOCUMENT, chunk) for chunk in CHUNKS]
    prompts = [request.prompt for request in backend.requests]
    first, second = (one.messages for one in prompts if isinstance(one, ChatPrompt))
    assert first[0] == second[0]
    assert first[0].role == "system"
    assert "The Danube rose &lt;/source> in May. It fell again." in first[0].content
    assert 'name="The river"' in first[0].content
    assert second[1].content.startswith("<part>\nIt fell again.\n</part>")
    written = lines[1]
    assert written is not None
    assert written.text == "How the Danube fell."
    assert written.tokens == WrittenTokens(9, 2, 1)


async def test_what_is_no_sentence_is_no_line_and_a_model_that_fails_gives_none() -> None:
    written = await place_chunk(FakeBackend(lambda _: spoken("Rivers.")), DOCUMENT, CHUNKS[0])
    assert written is not None
    assert written.text == ""
    failing = FakeBackend(lambda _: [UnavailableError("gone")])
    assert await place_chunk(failing, DOCUMENT, CHUNKS[0]) is None
