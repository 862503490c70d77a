"""The embedding model, and what it runs on."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from llm_api.config.sections.field_types import Names, Text, expand_home, lower

EmbeddingBackend = Annotated[
    Literal["auto", "onnx", "sentence_transformers", "gguf", "upstream", "none"],
    BeforeValidator(lower),
]
EmbeddingNumerics = Annotated[Literal["auto", "float32", "bfloat16"], BeforeValidator(lower)]
Prefix = Annotated[str, StringConstraints(strip_whitespace=False)]
_COMMIT = re.compile(r"[0-9a-f]{40}")


class EmbeddingSettings(BaseModel):
    embedding_model_name: Text = Field(
        default="all-MiniLM-L6-v2",
        description="The embedding model: a name on Hugging Face, a folder, or a GGUF file.",
    )
    embedding_backend: EmbeddingBackend = Field(
        default="auto",
        description="What embeds: `onnx`, `sentence_transformers`, `gguf`, `upstream` or `none`;"
        " `auto`: by the name and `EMBEDDING_URL`, `onnx` for the default model.",
    )
    embedding_aliases: Names = Field(
        default=(), description="Further names of the embedding model, separated by commas."
    )
    embedding_dimension: int | None = Field(
        default=None, ge=1, description="Length of the vectors. Unset: the embedding model's own."
    )
    embedding_any_dimension: bool = Field(
        default=False,
        description="Shorten vectors to any length, though the model was not trained for it.",
    )
    embedding_query_prefix: Prefix | None = Field(
        default=None,
        description="Text put before queries, such as `query: `. Unset: as the model has it.",
    )
    embedding_document_prefix: Prefix | None = Field(
        default=None,
        description="Text put before documents. Unset: as the model has it.",
    )
    embedding_trust_remote_code: bool = Field(
        default=False,
        description="Run code that comes with the embedding model; needs `EMBEDDING_REVISION`.",
    )
    embedding_revision: Text | None = Field(
        default=None, description="Commit of the embedding model's repository. Unset: the newest."
    )
    embedding_numerics: EmbeddingNumerics = Field(
        default="auto",
        description="`float32` or `bfloat16`, which needs `sentence_transformers`; `auto`: bfloat16"
        " there, where the CPU computes with it and the vectors stay the same.",
    )
    embedding_threads: int | None = Field(
        default=None, ge=1, description="Threads that embed. Unset: one per physical core."
    )
    embedding_batch_tokens: int = Field(
        default=512,
        ge=1,
        description="Tokens embedded at once; a query waits for one such batch at most.",
    )
    embedding_cache_size: int = Field(
        default=4096, ge=0, description="Vectors kept for inputs that come again; 0: none."
    )
    embedding_url: Text | None = Field(
        default=None,
        description="Base URL of an OpenAI-compatible server that embeds, such as"
        " `http://127.0.0.1:8080/v1`.",
    )
    embedding_api_key: SecretStr | None = Field(
        default=None, description="The key that `EMBEDDING_URL` asks for."
    )
    embedding_timeout_seconds: float = Field(
        default=60,
        ge=1,
        allow_inf_nan=False,
        description="How long `EMBEDDING_URL` may take for an answer.",
    )

    @model_validator(mode="after")
    def _check_embeddings(self) -> "EmbeddingSettings":
        if self.embedding_backend == "upstream" and self.embedding_url is None:
            raise ValueError("EMBEDDING_URL: must be set, since EMBEDDING_BACKEND is upstream")
        if self.embedding_url is not None and self.embedding_backend not in ("auto", "upstream"):
            raise ValueError(
                f"EMBEDDING_URL: must be unset when EMBEDDING_BACKEND is {self.embedding_backend}"
            )
        if self.embedding_backend == "onnx" and self.embedding_numerics == "bfloat16":
            raise ValueError(
                "EMBEDDING_NUMERICS: must be auto or float32 when EMBEDDING_BACKEND is onnx"
            )
        is_here = expand_home(Path(self.embedding_model_name)).exists()
        is_pinned = _COMMIT.fullmatch(self.embedding_revision or "") is not None
        if self.embedding_trust_remote_code and not is_here and not is_pinned:
            raise ValueError(
                "EMBEDDING_REVISION: must be a commit of 40 hexadecimal digits when"
                " EMBEDDING_TRUST_REMOTE_CODE is true: a branch may run other code tomorrow"
            )
        return self
