"""Answers from documents, wire to domain and back: whole, and as typed events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_api.api.mapping.chat import to_messages
from llm_api.api.mapping.generation import (
    AnswerHead,
    check_stream_options,
    refuse,
    same_meaning,
    to_guided_format,
    to_sampling,
    to_stop,
    wire_usage,
)
from llm_api.api.mapping.rag.search import to_hit, to_search_options, to_span
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.rag import chat as wire
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import (
    Addition,
    Annotation,
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    ReasoningDelta,
    TextDelta,
    Usage,
)
from llm_api.core.rag.answering.answer import RagOptions
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.events import Sources, Supported, read_notes
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.vector_store import Hit


def to_rag_options(given: wire.RagParameters, default_top_k: int, path: str = "") -> RagOptions:
    """`path` is where the parameters stand in the request. Raises InvalidRequestError."""
    if given.quote and given.citations not in (None, "model", "both", "required"):
        raise InvalidRequestError(
            f"'{path}quote' cites each quote by its marker: leave out '{path}citations'.",
            param=f"{path}citations",
        )
    if given.collections and "collection" in given.model_fields_set:
        raise InvalidRequestError(
            f"Send either '{path}collection' or '{path}collections'.", param=f"{path}collections"
        )
    search = to_search_options(given, default_top_k, path)
    if isinstance(given, wire.RagChatRequest) and given.num_context_docs is not None:
        search = replace(search, unsaid=search.unsaid - {"top_k"})
    collections = tuple(given.collections or ())
    return RagOptions(search, bool(given.verify), given.citations, bool(given.quote), collections)


def to_top_k(request: wire.RagChatRequest, default: int) -> int:
    """`top_k` by either name. Raises InvalidRequestError where they differ."""
    given = same_meaning("num_context_docs", request.num_context_docs, "top_k", request.top_k)
    return given or default


def to_generation_request(
    request: wire.RagChatRequest, defaults: GenerationDefaults
) -> GenerationRequest:
    """The conversation to answer. Raises InvalidRequestError, UnsupportedParameterError."""
    check_stream_options(request)
    if request.choices_per_prompt > 1:
        refuse("n", "is available only as 1: an answer from documents is one.")
    return GenerationRequest(
        prompt=ChatPrompt(_messages(request)),
        max_tokens=request.max_tokens or defaults.max_tokens,
        sampling=to_sampling(request, defaults, 0),
        stop=to_stop(request.stop),
        ignore_eos=bool(request.ignore_eos),
        retention=request.prompt_cache_retention,
        output_format=to_guided_format(request),
    )


def _messages(request: wire.RagChatRequest) -> tuple[Message, ...]:
    if (request.query is None) == (request.messages is None):
        raise InvalidRequestError("Send either 'query' or 'messages'.", param="query")
    if request.query is not None:
        return (Message("user", request.query),)
    return to_messages(request.messages or [])


@dataclass(frozen=True, slots=True)
class RagAnswerWriter:
    """Writes the answer to one request of `POST /v1/rag/chat`."""

    head: AnswerHead

    def whole(self, completions: Sequence[Completion]) -> wire.RagAnswer:
        (completion,) = completions
        notes = read_notes(completion)
        answer = wire.RagAnswer(
            id=self.head.id,
            object="rag.answer",
            created=self.head.created,
            model=self.head.model,
            answer=completion.text,
            **dict(to_source_list(notes.sources)),
            citations=[to_citation(one) for one in notes.citations],
            finish_reason=completion.finished.reason,
            usage=wire_usage(completion.finished.usage),
        )
        if notes.support is not None:
            answer.support = [to_support(one) for one in notes.support]
        if completion.reasoning:
            answer.reasoning = completion.reasoning
        return answer

    @property
    def has_steady_text(self) -> bool:
        """Nothing else is told of a piece of text."""
        return True

    def opening(self, _: int) -> None:
        """The sources are what comes first."""

    def progress(self, progress: Progress) -> None:
        """Its events have none for it."""

    def delta(self, _: int, delta: Addition) -> AnswerModel | None:
        match delta:
            case TextDelta(text):
                return wire.AnswerText(text=text)
            case ReasoningDelta(text):
                return wire.ReasoningText(text=text)
            case Annotation(Sources() as sources):
                return to_source_list(sources)
            case Annotation(Citation() as citation):
                return to_citation(citation)
            case Annotation(Supported(sentences)):
                return wire.SupportList(support=[to_support(one) for one in sentences])
            case _:
                return None

    def closing(self, _: int, finished: Finished) -> wire.AnswerEnd:
        return wire.AnswerEnd(finish_reason=finished.reason)

    def usage(self, usage: Usage) -> wire.AnswerUsage:
        return wire.AnswerUsage(usage=wire_usage(usage))


def to_source_list(sources: Sources) -> wire.SourceList:
    return wire.SourceList(
        question=sources.question,
        sources=[to_source(number, one) for number, one in enumerate(sources.given, 1)],
        omitted=[to_hit(one) for one in sources.omitted],
    )


def to_source(number: int, hit: Hit) -> wire.Source:
    return wire.Source(**dict(to_hit(hit)), number=number, collection=hit.collection)


def to_citation(citation: Citation) -> wire.Citation:
    return wire.Citation(
        number=citation.number,
        marker=to_span(citation.marker),
        document_id=citation.document_id,
        span=to_span(citation.span),
        quote=citation.quote,
        by=citation.by,
        sentence=to_span(citation.sentence),
        score=round(citation.score, 4),
        supported=citation.supported,
    )


def to_support(support: Support) -> wire.Support:
    return wire.Support(
        sentence=support.sentence,
        place=to_span(support.place),
        supported=support.supported,
        score=round(support.score, 4),
        document_id=support.document_id,
        span=None if support.span is None else to_span(support.span),
    )
