"""The embeddings resource: texts or token ids to turn into vectors."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, Tag

from llm_api.api.models.base import AnswerModel, ModelName, RequestModel
from llm_api.api.models.completions import BY_FORM, TokenIds

DEFAULT_EMBEDDING_EXAMPLE = "all-MiniLM-L6-v2"
MAX_INPUTS = 2048

Input = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], Field(max_length=MAX_INPUTS, fail_fast=True), Tag("texts")]
    | Annotated[TokenIds, Tag("tokens")]
    | Annotated[list[TokenIds], Field(max_length=MAX_INPUTS, fail_fast=True), Tag("token_lists")],
    BY_FORM,
]


class EmbeddingsRequest(RequestModel):
    """Texts to embed. Null means absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": DEFAULT_EMBEDDING_EXAMPLE,
                    "input": ["The river rose overnight.", "Water levels are up."],
                    "encoding_format": "float",
                }
            ]
        }
    )

    model: ModelName = Field(
        description="An embedding model's id or alias, as `GET /v1/models` lists them.",
        examples=[DEFAULT_EMBEDDING_EXAMPLE],
    )
    input: Input = Field(
        description="One text or up to 2,048; or token ids as the model's own tokenizer makes"
        " them, special tokens included. Ids of another vocabulary are refused."
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="`base64`: little-endian float32. Default `float`."
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="Shorter vectors, of length 1 again, where the model was trained for it.",
    )
    user: str | None = Field(default=None, description="Accepted; changes nothing.")

    truncate: bool | None = Field(
        default=None,
        description="Extension. Cut what is too long, and say so; otherwise it is refused.",
    )
    input_type: Literal["query", "document"] | None = Field(
        default=None,
        description="Extension. Puts the model's own prompt for it before each input.",
    )
    task: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="Extension. A task of the model's own, such as `retrieval.query`.",
    )


class Embedding(AnswerModel):
    object: Literal["embedding"]
    index: int = Field(description="Position of the input.")
    embedding: list[float] | str


class EmbeddingsUsage(AnswerModel):
    """Tokens that the model read, prompts and special tokens included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(AnswerModel):
    """The vectors, in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
    truncated: list[int] | None = Field(
        default=None, description="Extension, with `truncate`: positions of inputs that were cut."
    )
