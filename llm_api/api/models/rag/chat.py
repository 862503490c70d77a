"""Answers from documents: the question, the answer, and the words it stands on."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, ModelName
from llm_api.api.models.generation import AnswerParameters, CompletionUsage
from llm_api.api.models.messages import ChatMessage
from llm_api.api.models.rag.fields import MAX_TOP_K, Hit, Question, SearchParameters, Span


class RagParameters(SearchParameters):
    """How documents are looked up for an answer."""

    verify: bool | None = Field(
        default=None, description="Say of each sentence whether the sources support it."
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


class Citation(AnswerModel):
    """A marker in the answer, and the words that it points to."""

    EVENT: ClassVar[str | None] = "citation"

    number: int
    marker: Span = Field(description="Where the marker stands in the answer.")
    document_id: str
    span: Span = Field(description="Where the quote stands in the document's text.")
    quote: str


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


class Annotation(AnswerModel):
    """A source that was given (at the empty span 0 to 0), or the marker of one in the answer."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class RagContext(AnswerModel):
    """Extension. What `rag` brought to this answer; in a stream, in parts."""

    question: str = ""
    sources: list[Source] = Field(default=[])
    omitted: list[Hit] = Field(default=[])
    support: list[Support] = Field(default=[])
