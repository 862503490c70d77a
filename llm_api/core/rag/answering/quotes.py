"""Answers that are nothing but sentences of the sources: the grammar, and where each one stands.

`"A sentence. The next." [1]`, an empty line, `"Another." [3]`. Whole sentences, so that no "not" is
cut off; those that are long by lines. Covers that each word of a quote stands in its source. Does
not cover whether it answers the question.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import Annotation, Event, TextDelta
from llm_api.core.rag.answering.citations import NOT_COVERED, Citation
from llm_api.core.rag.answering.overlap import quotable
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.types import Chunk, Span

MOST_QUOTES: Final = 8

MOST_CHARACTERS: Final = 48_000
"""Of a grammar with all sources in it."""

_END: Final = re.compile(r'" \[([1-9][0-9]{0,3})\]')


def quote_grammar(sources: Sequence[str]) -> str:
    """Up to `MOST_QUOTES` quotes, each whole sentences in a row of one source, or `NOT_COVERED`.

    In llguidance's Lark. Raises InvalidRequestError for more text than a grammar can hold.
    """
    numbers = range(1, len(sources) + 1)
    lines = [
        f'start: "{NOT_COVERED}" | quote ("\\n\\n" quote){{0,{MOST_QUOTES - 1}}}',
        "quote: " + " | ".join(f"q{number}" for number in numbers),
    ]
    for number, text in zip(numbers, sources, strict=True):
        chunks = json.dumps({"substring_chunks": list(_chunks(text))}, ensure_ascii=False)
        lines += [
            f'q{number}: "\\"" Q{number} "\\" [{number}]"',
            rf"Q{number}: /\S(?s:.*)\S/ & %regex {chunks}",
        ]
    grammar = "\n".join(lines) + "\n"
    if len(grammar) > MOST_CHARACTERS:
        raise InvalidRequestError(
            f"'quote': the sources have about {len(grammar)} characters, and at most"
            f" {MOST_CHARACTERS} can be quoted from; lower 'top_k'.",
            param="quote",
        )
    return grammar


def _chunks(text: str) -> Iterator[str]:
    """Sentences, and what stands between them: all of the text."""
    position = 0
    for span in quotable(text):
        if span.start > position:
            yield text[position : span.start]
        yield text[span.start : span.end]
        position = span.end


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
