"""Answers from documents: the question, the answer, and the words it stands on."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, ModelName
from llm_api.api.models.generation import AnswerParameters, CompletionUsage
from llm_api.api.models.messages import ChatMessage
from llm_api.api.models.rag.fields import (
    MAX_TOP_K,
    CollectionName,
    Hit,
    Question,
    SearchParameters,
    Span,
)
from llm_api.core.rag.answering.citations import CitationMode


class RagParameters(SearchParameters):
    """How documents are looked up for an answer."""

    collections: (
        Annotated[list[CollectionName], Field(min_length=1, max_length=16, fail_fast=True)] | None
    ) = Field(
        default=None,
        description="Instead of `collection`: several, of which each is searched; `top_k` is what"
        " they give together.",
    )

    verify: bool | None = Field(
        default=None, description="Say of each sentence whether the sources support it."
    )
    citations: CitationMode | None = Field(
        default=None,
        description="Where citations come from: the `model`'s markers, the `alignment` of each"
        " sentence with the sources, `both` (the default), or `none`. `required` holds the model to"
        " a marker for each sentence.",
    )
    quote: bool | None = Field(
        default=None,
        description="Hold the answer to whole sentences of the sources, word by word.",
    )


class RagChatRequest(RagParameters, AnswerParameters):
    """A question, or a conversation that ends in one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "What is Docker?", "max_tokens": 256, "num_context_docs": 3}]
        }
    )

    query: Question | None = Field(default=None, description="The question alone.")
    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] | None = Field(
        default=None, min_length=1, max_length=4096, description="Instead of `query`."
    )
    model: ModelName | None = Field(default=None, description="Default: the first model.")
    max_tokens: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Default: the server's setting."
    )
    num_context_docs: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="Another name for `top_k`."
    )


class Source(Hit):
    """A chunk that the model was given."""

    number: int = Field(description="What the markers in the answer call it.")
    collection: str


class Citation(AnswerModel):
    """What of a source a sentence of the answer stands on."""

    EVENT: ClassVar[str | None] = "citation"

    number: int
    marker: Span = Field(
        description="Where the marker stands in the answer; the empty span at the end of the"
        " sentence where the model wrote none."
    )
    document_id: str
    span: Span = Field(description="Where the quote stands in the document's text.")
    quote: str
    by: Literal["model", "alignment"] = Field(description="Who has chosen the source.")
    sentence: Span = Field(description="What is cited: its place in the answer.")
    score: float = Field(description="How much the quote is like the sentence, from 0 to 1.")
    supported: bool = Field(
        description="Whether that is enough; false where the model named a source that does not"
        " say this."
    )


class Support(AnswerModel):
    """A sentence of the answer, and the passage of a document that is most like it."""

    sentence: str
    place: Span = Field(description="Of the sentence in the answer.")
    supported: bool
    score: float
    document_id: str | None
    span: Span | None = Field(description="Of the passage in the document's text.")


class SourceList(AnswerModel):
    """What the model was given, and what it had no room for."""

    EVENT: ClassVar[str | None] = "sources"

    question: str = Field(description="What was searched for: a follow-up is rewritten.")
    sources: list[Source] = Field(description="`[1]` first. Empty where nothing was found.")
    omitted: list[Hit] = Field(description="Found as well, but there was no room for it.")


class SupportList(AnswerModel):
    EVENT: ClassVar[str | None] = "support"

    support: list[Support]


class AnswerText(AnswerModel):
    EVENT: ClassVar[str | None] = "text"

    text: str


class ReasoningText(AnswerModel):
    EVENT: ClassVar[str | None] = "reasoning"

    text: str


class AnswerUsage(AnswerModel):
    EVENT: ClassVar[str | None] = "usage"

    usage: CompletionUsage


class AnswerEnd(AnswerModel):
    EVENT: ClassVar[str | None] = "finish"

    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]


class RagAnswer(SourceList):
    """An answer from documents."""

    EVENT: ClassVar[str | None] = None

    id: str
    object: Literal["rag.answer"]
    created: int = Field(description="Unix seconds.")
    model: str
    answer: str
    reasoning: str = Field(
        default="", description="Present where the model thought before it answered."
    )
    citations: list[Citation]
    support: list[Support] = Field(
        default=[], description="In the order of the sentences; present with `verify`."
    )
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]
    usage: CompletionUsage


class UrlCitation(AnswerModel):
    """A source in OpenAI's form. The fields after `url` are extensions of this server."""

    start_index: int
    end_index: int
    title: str
    url: str = Field(description="The document's own, or its place on this server.")
    number: int
    document_id: str
    chunk_id: str
    span: Span
    quote: str
    by: Literal["model", "alignment"] = Field(
        default="model", description="Who has chosen the source; present where a sentence is cited."
    )
    sentence: Span = Field(
        default=Span(start=0, end=0), description="What is cited; present with `by`."
    )
    score: float = Field(default=0.0, description="As in a citation; present with `by`.")
    supported: bool = Field(default=False, description="As in a citation; present with `by`.")


class Annotation(AnswerModel):
    """A source that was given (at the empty span 0 to 0), or a citation in the answer."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class RagContext(AnswerModel):
    """Extension. What `rag` brought to this answer; in a stream, in parts."""

    question: str = ""
    sources: list[Source] = Field(default_factory=list)
    omitted: list[Hit] = Field(default_factory=list)
    support: list[Support] = Field(default_factory=list)
