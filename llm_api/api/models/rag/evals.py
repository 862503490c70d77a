"""Evals: how well a collection is searched, and which way to search is best."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, ModelName, RequestModel, at_most
from llm_api.api.models.rag.fields import (
    DEFAULT_COLLECTION,
    CollectionName,
    DocumentId,
    Question,
    TunedSearch,
)
from llm_api.core.rag.eval_jobs import MAX_CHUNKS
from llm_api.core.rag.tuning import LEAST_QUESTIONS

MAX_QUESTIONS = 5_000
MAX_DRAFTED = 500

Grade = Annotated[int, Field(ge=-100, le=100)]


class JudgedQuestion(RequestModel):
    """A question, and the documents that answer it."""

    query: Question
    relevant: (
        Annotated[list[DocumentId], Field(fail_fast=True, max_length=1000)]
        | Annotated[dict[DocumentId, Grade], at_most(1000)]
    ) = Field(description="Ids of documents, or ids with grades: above 0 is relevant.")


class EvalRequest(RequestModel):
    """Questions whose answers are known, or to be drafted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"questions": [{"query": "What is Docker?", "relevant": ["docker"]}]}]
        }
    )

    collection: CollectionName = DEFAULT_COLLECTION
    questions: Annotated[list[JudgedQuestion], Field(fail_fast=True)] | None = Field(
        default=None, min_length=1, max_length=MAX_QUESTIONS
    )
    draft: int | None = Field(
        default=None,
        ge=LEAST_QUESTIONS,
        le=MAX_DRAFTED,
        description="Instead of `questions`: how many a model writes, each from a passage of a"
        " document, which is then taken as the one that answers it.",
    )
    model: ModelName | None = Field(
        default=None, description="What writes. Default: the first model."
    )
    cutoff: int = Field(default=10, ge=1, le=20, description="Documents that count.")
    contexts: bool = Field(
        default=False,
        description="Have the model write, while nothing else runs, a line for each chunk that"
        " says where it stands in its document, and say whether the collection is found better by"
        " these lines. With `apply` they are kept if it is. Always a job.",
    )
    max_chunks: int = Field(
        default=2_000,
        ge=10,
        le=MAX_CHUNKS,
        description="With `contexts`: of how many chunks documents are taken, at random.",
    )
    apply: bool = Field(
        default=False,
        description="Search the collection from now on as was found best, where a request does not"
        " say; as any other where nothing is surely better.",
    )


class Quality(AnswerModel):
    """Means over the questions that have a relevant document, each from 0 to 1."""

    recall: float
    mrr: float
    ndcg: float


class Tuning(AnswerModel):
    """What to search by, and what that is worth for questions that it was not chosen on.

    Each fifth of the questions was measured with what the others choose.
    """

    search: TunedSearch
    ndcg: float = Field(description="Mean over the questions, each measured so.")
    ndcg_before: float = Field(description="With the defaults of this server.")
    gain: float
    standard_error: float = Field(description="Of the gain.")
    better: bool = Field(description="Whether the gain is more than chance.")
    applied: bool


class ContextQuality(AnswerModel):
    """What lines that place chunks are worth, searched side by side with the same without them.

    Each as tuning finds best for it, for questions that it was not tuned on.
    """

    chunks: int = Field(description="Of the documents that were tried.")
    lines: int = Field(description="Chunks that got one.")
    questions: int
    ndcg: float
    ndcg_before: float
    gain: float
    standard_error: float
    better: bool = Field(description="Whether the gain is more than chance.")
    applied: bool
    prompt_tokens: int = Field(description="That the model was shown, all documents included.")
    cached_tokens: int = Field(description="Of these, shared by the chunks of a document.")
    completion_tokens: int


class EvalAnswer(AnswerModel):
    """What each mode reaches, and the one with the highest nDCG."""

    object: Literal["rag.eval"]
    collection: str
    cutoff: int
    questions: int
    modes: dict[Literal["dense", "sparse", "hybrid"], Quality]
    best: Literal["dense", "sparse", "hybrid"]
    tuning: Tuning | None = Field(description="Null where there are fewer than 10 questions.")
    contexts: ContextQuality | None = Field(
        default=None, description="Present where lines were asked for."
    )


class DraftedQuestion(AnswerModel):
    """As `questions` takes it."""

    query: str
    relevant: list[str]


class EvalJob(AnswerModel):
    """Evals for which a model writes questions or lines, under way or ended."""

    id: str
    object: Literal["rag.eval.job"]
    collection: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int = Field(
        description="Questions that are drafted, lines by eights, and 1 for the evaluation."
    )
    total: int
    questions: list[DraftedQuestion]
    result: EvalAnswer | None
    error: str | None
    created_at: int = Field(description="Unix seconds, as the other.")
    ended_at: int | None
