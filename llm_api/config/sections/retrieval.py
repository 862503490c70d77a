"""Where documents are kept, and how they are searched."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from llm_api.config.sections.field_types import HomePath, Names, Text, URLs, lower

UrlHosts = Annotated[Literal["allowed", "public"], BeforeValidator(lower)]


class RetrievalSettings(BaseModel):
    data_dir: HomePath = Field(
        default=Path("data"),
        description="Folder of what is kept on this machine: documents, if not on a Qdrant server;"
        " responses, conversations and jobs, if not in `DATABASE_URL`; files, if not in a bucket.",
    )
    qdrant_url: AnyHttpUrl | None = Field(
        default=None,
        description="A Qdrant server that keeps the documents, such as `https://qdrant:6333`.",
    )
    qdrant_further_urls: URLs = Field(
        default=(),
        description="Further nodes of its cluster, separated by commas: asked when one does not"
        " answer.",
    )
    qdrant_host: Text | None = Field(
        default=None, description="Its host, instead of `QDRANT_URL`; without TLS."
    )
    qdrant_port: int = Field(
        default=6333, ge=1, le=65535, description="Its port, with `QDRANT_HOST`."
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="Its API key.")
    qdrant_timeout_seconds: float = Field(
        default=10,
        ge=0.1,
        allow_inf_nan=False,
        description="Seconds after which it, or the store in `DATA_DIR`, is taken not to answer.",
    )
    qdrant_shard_number: int | None = Field(
        default=None, ge=1, description="Shards of a new collection on a cluster."
    )
    qdrant_replication_factor: int | None = Field(
        default=None, ge=1, description="Copies of each shard on a cluster."
    )
    qdrant_use_memory: bool = Field(
        default=False,
        description="Keep documents in memory, whatever else is set: they end with the server.",
    )
    rag_chunk_tokens: int = Field(
        default=200,
        ge=16,
        le=8192,
        description="Tokens of a chunk at most, as the embedding model counts them.",
    )
    rag_chunk_overlap: int = Field(
        default=30, ge=0, description="Tokens that a chunk repeats of the one before it."
    )
    rag_top_k: int = Field(default=3, ge=1, description="Chunks retrieved for a question.")
    rag_score_threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Cosine similarity below which a"
        " chunk is left out. Unset: what was measured for the embedding model.",
    )
    rag_ocr: Literal["off", "auto"] = Field(
        default="off",
        description="`auto` recognises the text of image files, and of pages of PDFs that have"
        " none; needs `llm_api[ocr]`, and some 8 seconds of a core for a page.",
    )
    rag_ocr_seconds: float = Field(
        default=300,
        ge=1,
        le=3600,
        description="Seconds that may be spent on it for one file; later pages are left out.",
    )
    rerank_model: Text | None = Field(
        default=None,
        description="A model that judges texts by a question, for `/v1/rerank` and searches that"
        " say `rerank`: a cross-encoder by its name on Hugging Face or a folder, or a GGUF file.",
    )

    rag_urls: UrlHosts = Field(
        default="allowed",
        description="From where `/v1/rag/urls` fetches web pages: `allowed`, the hosts of"
        " `RAG_URL_ALLOWED_HOSTS`; `public`, any host with public addresses as well.",
    )
    rag_url_allowed_hosts: Names = Field(
        default=(),
        description="Hosts that pages are fetched from, whatever their address, separated by"
        " commas, such as `wiki.local:8080,*.example.com`; without a port, at any. Unset: none.",
    )

    @model_validator(mode="after")
    def _check_retrieval(self) -> "RetrievalSettings":
        if self.qdrant_url is not None and self.qdrant_host is not None:
            raise ValueError("QDRANT_URL: must be unset when QDRANT_HOST is set, or the reverse")
        if self.qdrant_further_urls and not (self.qdrant_url or self.qdrant_host):
            raise ValueError("QDRANT_FURTHER_URLS: needs QDRANT_URL or QDRANT_HOST, the first node")
        if self.rag_chunk_overlap >= self.rag_chunk_tokens:
            raise ValueError("RAG_CHUNK_OVERLAP: must be less than RAG_CHUNK_TOKENS")
        return self
