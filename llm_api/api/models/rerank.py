"""Texts judged by a query: the body and the answer of Cohere, Jina and text-embeddings-inference.

The first two have `documents`, the last has `texts`, by which it is told apart. One answer serves
all clients of the first two.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models.base import AnswerModel, ModelName, RequestModel, at_most

MAX_DOCUMENTS = 2048
MAX_DOCUMENT_FIELDS = 64

Query = Annotated[str, StringConstraints(min_length=1)]


def _text_or_object(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, dict) else None


Document = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[dict[str, Any], at_most(MAX_DOCUMENT_FIELDS), Tag("object")],
    Discriminator(
        _text_or_object,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or an object",
    ),
]


class RerankRequest(RequestModel):
    """Documents, or in the form of text-embeddings-inference `texts`. Null means absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "Which animal purrs?",
                    "documents": ["Cats purr.", "Dogs bark."],
                    "mode": "embedding",
                }
            ]
        }
    )

    model: ModelName | None = Field(default=None, description="Default: the server's.")
    query: Query
    documents: (
        Annotated[list[Document], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True)]
        | None
    ) = Field(default=None, description="Texts, or objects of which `text` is read.")
    rank_fields: Annotated[list[str], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="The fields of objects that are read instead, in this order."
    )
    top_n: int | None = Field(default=None, ge=1, description="Only the best of them.")
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = Field(
        default=None, ge=1, description="Tokens after which a document is cut."
    )
    raw_scores: bool | None = Field(
        default=None, description="What the model gives, without bounds, instead of 0 to 1."
    )
    mode: Literal["model", "embedding"] | None = Field(
        default=None,
        description="Extension. `embedding` compares by the cosine of an embedding model, which"
        " `model` then names.",
    )
    texts: (
        Annotated[list[str], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True)] | None
    ) = Field(default=None, description="In the form of text-embeddings-inference.")
    return_text: bool | None = Field(default=None, description="With `texts`.")
    truncate: bool | None = Field(
        default=None, description="With `texts`: cut what is too long; otherwise it is refused."
    )


class RerankedDocument(AnswerModel):
    index: int = Field(description="Its position in the request.")
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankUsage(AnswerModel):
    prompt_tokens: int
    total_tokens: int


class RerankAnswer(AnswerModel):
    """The documents, the most relevant first."""

    id: str
    object: Literal["list"]
    model: str
    results: list[RerankedDocument]
    usage: RerankUsage
    meta: dict[str, Any] = Field(description="As Cohere's clients read it.")


class RankedText(AnswerModel):
    """One of the list that text-embeddings-inference answers."""

    index: int
    score: float
    text: str | None = None


class TextEmbedRequest(RequestModel):
    """Texts to embed, in the form of text-embeddings-inference. Null means absent."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ["Cats purr."]}]})

    inputs: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[
            list[str], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True), Tag("list")
        ],
        Discriminator(
            lambda value: "text" if isinstance(value, str) else "list",
        ),
    ]
    truncate: bool | None = Field(default=None, description="Cut what is too long.")
    normalize: bool | None = Field(default=None, description="Vectors of length 1. Default true.")
    dimensions: int | None = Field(default=None, ge=1, le=2**31 - 1)
    prompt_name: Literal["query", "document"] | None = None


class InferenceInfo(AnswerModel):
    """What text-embeddings-inference says of itself; null where it is not known yet."""

    model_id: str
    model_type: dict[str, Any]
    max_input_length: int | None
    max_client_batch_size: int
    version: str
