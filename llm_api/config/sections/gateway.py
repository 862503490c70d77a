"""The servers that generate text for this one, their time limits, and answers given again."""

from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, BeforeValidator, ByteSize, Field, SecretStr

from llm_api.config.sections.field_types import HomePath, Text, lower

HuggingFaceMode = Annotated[Literal["local", "cloud"], BeforeValidator(lower)]
Routing = Annotated[Literal["prefix", "least_busy"], BeforeValidator(lower)]


class GatewaySettings(BaseModel):
    openai_base_url: AnyHttpUrl | None = Field(
        default=None,
        description="Where `openai`, `vllm` or `llama-server` answers, such as"
        " `http://10.0.0.5:8000/v1`. Unset: OpenAI itself.",
    )
    openai_model: Text | None = Field(default=None, description="The model's name there.")
    openai_api_key: SecretStr | None = Field(default=None, description="The key it asks for.")
    ollama_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://localhost:11434"), description="Where Ollama answers."
    )
    ollama_model: Text = Field(default="llama2", description="The model's name there.")
    claude_base_url: AnyHttpUrl | None = Field(
        default=None, description="Where Anthropic's Messages API answers. Unset: Anthropic itself."
    )
    claude_model: Text | None = Field(default=None, description="The model's name there.")
    claude_api_key: SecretStr | None = Field(default=None, description="The key it asks for.")
    hf_mode: HuggingFaceMode = Field(
        default="local",
        description="`local`: Hugging Face's transformers in this process; `cloud`: its inference"
        " router.",
    )
    hf_model: Text | None = Field(
        default=None, description="The model's repository there, or a folder, such as `distilgpt2`."
    )
    hf_api_key: SecretStr | None = Field(
        default=None, description="The token that the router asks for."
    )
    hf_base_url: AnyHttpUrl | None = Field(
        default=None, description="Another router. Unset: Hugging Face's own."
    )
    transformers_cache: HomePath | None = Field(
        default=None,
        description="Where transformers keeps what it fetches. Unset: where it always does.",
    )
    upstream_connect_seconds: float = Field(
        default=5, ge=0.1, allow_inf_nan=False, description="Seconds to reach such a server."
    )
    upstream_silence_seconds: float = Field(
        default=120,
        ge=0.1,
        allow_inf_nan=False,
        description="Seconds it may be silent before or within an answer.",
    )
    upstream_first_token_seconds: float | None = Field(
        default=None,
        ge=0.1,
        allow_inf_nan=False,
        description="Seconds until its first token; then the next replica is asked. Unset: as long"
        " as silence may last.",
    )
    upstream_total_seconds: float | None = Field(
        default=None,
        ge=0.1,
        allow_inf_nan=False,
        description="Seconds for the whole answer, retries included. Unset: unlimited.",
    )
    upstream_check_seconds: float = Field(
        default=10,
        ge=0.1,
        allow_inf_nan=False,
        description="Seconds between two health checks of a model's replicas, if it has several.",
    )


CacheKind = Annotated[Literal["off", "memory", "redis"], BeforeValidator(lower)]


class ResponseCacheSettings(BaseModel):
    response_cache: CacheKind = Field(
        default="off",
        description="Where answers to requests at temperature 0 or with a seed are kept, to be"
        " given again: `off`, `memory`, or `redis` at `REDIS_URL`.",
    )
    response_cache_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024 * 1024),
        ge=1024,
        description="Memory that they may take, such as `64MiB`. In Redis its `maxmemory` says it.",
    )
    response_cache_seconds: int = Field(
        default=3600, ge=1, description="How long an answer is kept."
    )
