"""Search: a question, and the chunks that may answer it."""

from typing import Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.rag.fields import Hit, Question, SearchParameters


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
