"""Search: a question and the chunks that may answer it; evals: how well each mode finds them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, RequestModel, at_most
from llm_api.api.models.rag.fields import (
    DEFAULT_COLLECTION,
    CollectionName,
    DocumentId,
    Hit,
    Question,
    SearchParameters,
)

MAX_QUESTIONS = 5_000

Grade = Annotated[int, Field(ge=-100, le=100)]


class SearchRequest(SearchParameters):
    """What to look for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What is Docker?", "top_k": 3}]}
    )

    query: Question


class SearchAnswer(AnswerModel):
    """What was found, best first."""

    object: Literal["list"]
    collection: str
    mode: Literal["dense", "sparse", "hybrid"]
    data: list[Hit] = Field(description="Empty where nothing is above the threshold.")


class JudgedQuestion(RequestModel):
    """A question, and the documents that answer it."""

    query: Question
    relevant: (
        Annotated[list[DocumentId], Field(fail_fast=True, max_length=1000)]
        | Annotated[dict[DocumentId, Grade], at_most(1000)]
    ) = Field(description="Ids of documents, or ids with grades: above 0 is relevant.")


class EvalRequest(RequestModel):
    """Questions whose answers are known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"questions": [{"query": "What is Docker?", "relevant": ["docker"]}]}]
        }
    )

    collection: CollectionName = DEFAULT_COLLECTION
    questions: Annotated[list[JudgedQuestion], Field(fail_fast=True)] = Field(
        min_length=1, max_length=MAX_QUESTIONS
    )
    cutoff: int = Field(default=10, ge=1, le=20, description="Documents that count.")


class Quality(AnswerModel):
    """Means over the questions that have a relevant document, each from 0 to 1."""

    recall: float
    mrr: float
    ndcg: float


class EvalAnswer(AnswerModel):
    """What each mode reaches, and the one with the highest nDCG."""

    object: Literal["rag.eval"]
    collection: str
    cutoff: int
    questions: int
    modes: dict[Literal["dense", "sparse", "hybrid"], Quality]
    best: Literal["dense", "sparse", "hybrid"]
