"""Answers that are nothing but sentences of the sources: the grammar, and where each one stands.

`"A sentence. The next." [1]`, an empty line, `"Another." [3]`. Whole sentences, so that no "not" is
cut off; those that are long by lines. None twice, and in the order of the sources: so a model that
repeats itself comes to an end. Covers that each word of a quote stands in its source. Does not
cover whether it answers the question.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import Annotation, Event, TextDelta
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.overlap import quotable
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.types import Chunk, Span

NOTHING_SAID: Final = "Nothing in the documents answers this question."
"""What the model says instead. It does not begin as an answer would, so that none ends up there."""

MOST_SENTENCES: Final = 400
MOST_CHARACTERS: Final = 60_000
"""Of a grammar with all sources in it, each sentence twice: an engine takes little more."""

_END: Final = re.compile(r'" \[([1-9][0-9]{0,3})\]')


def quote_grammar(sources: Sequence[str]) -> str:
    """Quotes of whole sentences in a row of one source, in ascending order, or `NOTHING_SAID`.

    In llguidance's Lark: `from_7` is a quote that begins with sentence 7 or later, `then_7` what
    may follow sentence 7 within its quote. Raises InvalidRequestError for more text than a grammar
    can hold.
    """
    places = [(n, span) for n, text in enumerate(sources) for span in quotable(text)]
    lines = [f"start: {json.dumps(NOTHING_SAID)} | from_0"]
    for at, (n, span) in enumerate(places):
        following = places[at + 1] if at + 1 < len(places) else None
        later = f" | from_{at + 1}" if following else ""
        end = f'"\\" [{n + 1}]"' + (f' ("\\n\\n" from_{at + 1})?' if following else "")
        if following and following[0] == n:
            on = _literal(sources[n][span.end : following[1].end])
            end = f"{on} then_{at + 1} | {end}"
        sentence = _literal(sources[n][span.start : span.end])
        lines += [f'from_{at}: "\\"" {sentence} then_{at}{later}', f"then_{at}: {end}"]
    grammar = "\n".join(lines) + "\n"
    if len(places) > MOST_SENTENCES or len(grammar) > MOST_CHARACTERS:
        raise InvalidRequestError(
            f"'quote': the sources have {len(places)} sentences in {sum(map(len, sources))}"
            " characters, which is more than a grammar holds; lower 'top_k'.",
            param="quote",
        )
    return grammar


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class QuoteReader:
    """Finds the quotes of an answer that comes in pieces, each once. `support` has all so far."""

    def __init__(self, sources: Sequence[Chunk]) -> None:
        self._sources = sources
        self._begin = 0
        self.text = ""
        self.support: list[Support] = []

    def add(self, piece: str) -> list[Citation]:
        """The quotes whose markers this piece completes."""
        self.text += piece
        return list(self._found()) if "]" in piece else []

    def _found(self) -> Iterator[Citation]:
        for end in _END.finditer(self.text, self._begin):
            opening = self.text.find('"', self._begin)
            place = Span(opening + 1, end.start())
            quote, number = self.text[place.start : place.end], int(end[1])
            source = self._sources[number - 1] if number <= len(self._sources) else None
            at = source.text.find(quote) if source is not None and quote else -1
            if source is None or at < 0:
                continue  # such an end stands within a quote
            self._begin = end.end()
            start = source.span.start + at
            span, marker = Span(start, start + len(quote)), Span(end.start() + 2, end.end())
            self.support.append(
                Support(
                    quote,
                    place,
                    supported=True,
                    score=1.0,
                    document_id=source.document_id,
                    span=span,
                )
            )
            yield Citation(
                number, marker, source.document_id, span, quote, "model", place, 1.0, supported=True
            )


async def quoted_events(
    events: AsyncIterator[Event], reader: QuoteReader
) -> AsyncGenerator[Event, None]:
    """The events, with an Annotation behind each quote. The caller closes both generators."""
    async for event in events:
        yield event
        if isinstance(event, TextDelta):
            for citation in reader.add(event.text):
                yield Annotation(citation)
