"""Search: a question and the chunks that may answer it."""

from typing import Literal

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, ModelName
from llm_api.api.models.rag.fields import (
    Hit,
    Question,
    SearchParameters,
)


class SearchRequest(SearchParameters):
    """What to look for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What is Docker?", "top_k": 3}]}
    )

    query: Question
    expand: Literal["wordings", "answer", "parts"] | None = Field(
        default=None,
        description="What a model writes to be searched for beside the question: three other"
        " wordings, an answer as it might stand there, or the parts of a question that asks several"
        " things. Default: nothing.",
    )
    model: ModelName | None = Field(
        default=None, description="What writes it. Default: the first model."
    )


class SearchAnswer(AnswerModel):
    """What was found, best first."""

    object: Literal["list"]
    collection: str
    mode: Literal["dense", "sparse", "hybrid"]
    searched: list[str] = Field(
        default=[], description="With `expand`: what was searched for beside the question."
    )
    data: list[Hit] = Field(description="Empty where nothing is above the threshold.")
