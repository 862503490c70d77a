"""Every setting, validated once, frozen. The only reader of the environment and of `.env`.

Knows names, types and ranges; does not know what the values are used for.
"""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from llm_api.config.problems import explain
from llm_api.core.errors import LLMAPIError


class ConfigurationError(LLMAPIError):
    """A setting is wrong. `str(error)` is one line that names the environment variable."""

    code = "configuration_invalid"


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    """Distinct names out of a comma-separated list, in its order."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def _split_all(value: object) -> object:
    """Every item of a comma-separated list, in its order."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


Text = Annotated[str, Field(min_length=1)]
HomePath = Annotated[Path, AfterValidator(_expand_home)]
Names = Annotated[tuple[Text, ...], NoDecode, BeforeValidator(_split)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]
Shares = Annotated[
    tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...],
    NoDecode,
    BeforeValidator(_split_all),
]
FlashAttention = Annotated[Literal["auto", "on", "off"], BeforeValidator(_lower)]
KvCacheType = Annotated[Literal["f16", "q8_0", "q4_0"], BeforeValidator(_lower)]
BackendName = Annotated[Literal["llama"], BeforeValidator(_lower)]
EmbeddingBackend = Annotated[
    Literal["auto", "sentence_transformers", "gguf", "upstream", "none"], BeforeValidator(_lower)
]
EmbeddingNumerics = Annotated[Literal["auto", "float32", "bfloat16"], BeforeValidator(_lower)]
Prefix = Annotated[str, StringConstraints(strip_whitespace=False)]
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Settings(BaseSettings):
    """What `load_settings` returns. A field's environment name is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        protected_namespaces=(),
    )

    RESERVED: ClassVar[frozenset[str]] = frozenset(
        {
            "data_dir",
            "qdrant_url",
            "qdrant_host",
            "qdrant_port",
            "qdrant_api_key",
            "qdrant_timeout_seconds",
            "qdrant_shard_number",
            "qdrant_replication_factor",
            "qdrant_use_memory",
            "rag_top_k",
            "rag_score_threshold",
            "log_file",
        }
    )

    model_repo_id: Text | None = Field(
        default=None, description="Hugging Face repository of the model; needs `MODEL_FILENAME`."
    )
    model_filename: Text | None = Field(
        default=None, description="The GGUF file to fetch from `MODEL_REPO_ID`."
    )
    model_path: HomePath | None = Field(
        default=None,
        description="A GGUF file on this machine. With no model named: the default model.",
    )
    model_aliases: Names = Field(
        default=(), description="Further names the model answers to, separated by commas."
    )
    config_file: HomePath | None = Field(
        default=None,
        description="A YAML file that names models, instead of the settings above, or MCP servers.",
    )
    model_idle_seconds: int | None = Field(
        default=None,
        ge=1,
        description="Seconds without a request after which a model leaves memory; the next"
        " request loads it again. Unset: never.",
    )
    model_memory: ByteSize | None = Field(
        default=None,
        description="Memory that models may take together, such as `8GB`. Unset: unlimited.",
    )
    models_dir: HomePath = Field(
        default=Path("models"), description="Where fetched models are kept."
    )
    llm_backend: BackendName = Field(default="llama", description="The engine that generates text.")
    context_length: int = Field(
        default=2048, ge=64, description="Tokens a prompt and its answer may take together."
    )
    max_tokens: int = Field(
        default=256, ge=1, description="Tokens of an answer when the request does not say."
    )
    temperature: float = Field(
        default=0.2, ge=0, le=2, description="Sampling temperature when the request does not say."
    )
    parallel: int = Field(
        default=8, ge=1, le=128, description="Requests generated at the same time."
    )
    kv_tokens: int | None = Field(
        default=None,
        ge=64,
        description="Tokens the KV buffer holds for all requests together, cached prefixes"
        " included. Unset: `CONTEXT_LENGTH` for each of `PARALLEL`.",
    )
    max_queue: int = Field(
        default=64, ge=0, description="Requests that may wait; one more is answered 429."
    )
    public_prefixes: bool = Field(
        default=False,
        description="Share computed prefixes between API keys too. A request then shows by its"
        " speed that another key has asked the same.",
    )
    draft_tokens: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Tokens guessed ahead where an answer repeats its context; 0 switches that off."
        " Unset: 8 where the machine is measured to gain by it, often for a single stream only.",
    )
    n_threads: int | None = Field(
        default=None, ge=1, description="Threads that compute. Unset: one per physical core."
    )
    gpu_layers: int = Field(
        default=-1, ge=-1, description="Layers computed on the GPU; -1: all that fit."
    )
    main_gpu: int = Field(
        default=0, ge=0, description="The GPU that holds what is not split between GPUs."
    )
    tensor_split: Shares = Field(
        default=(), description="Share of the model on each GPU, such as `3,1`. Unset: by memory."
    )
    flash_attention: FlashAttention = Field(
        default="auto", description="Flash attention: `auto`, `on` or `off`."
    )
    kv_cache_type: KvCacheType = Field(
        default="f16", description="Precision of the KV buffer: `f16`, `q8_0` or `q4_0`."
    )
    mmap: bool = Field(default=True, description="Map the model file instead of reading it.")
    mlock: bool = Field(default=False, description="Keep the model in memory, never swapped out.")
    functions_dir: HomePath | None = Field(
        default=None,
        description="A folder of Python files whose functions are offered. They run with the"
        " server's rights.",
    )
    function_timeout_seconds: int = Field(
        default=30, ge=1, description="Seconds a function may take that does not say it itself."
    )
    max_tool_rounds: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Rounds of calls in an answer with `server_tools`; then the model must answer.",
    )
    function_result_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024),
        ge=1024,
        description="Size that a function's result may have as JSON, such as `64KiB`.",
    )
    weather_geocoding_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("https://geocoding-api.open-meteo.com"),
        description="Where the weather functions look up places: Open-Meteo's geocoding API.",
    )
    weather_forecast_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("https://api.open-meteo.com"),
        description="Where they get the weather: Open-Meteo's forecast API.",
    )
    host: Text = Field(
        default="127.0.0.1", description="Address to listen on. There is no access control yet."
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    sse_ping_seconds: int = Field(
        default=15,
        ge=1,
        description="Silence in a stream after which a keep-alive comment is sent.",
    )
    log_level: LogLevel = Field(
        default="INFO", description="`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."
    )
    log_file: HomePath = Field(default=Path("logs/log.jsonl"), description="The request log.")
    api_key: SecretStr | None = Field(
        default=None,
        description="Must stay unset: keys cannot be checked yet, so the server refuses to start.",
    )
    data_dir: HomePath = Field(
        default=Path("data"), description="Where documents are kept, if not on a Qdrant server."
    )
    qdrant_url: AnyHttpUrl | None = Field(
        default=None,
        description="A Qdrant server that keeps the documents, such as `https://qdrant:6333`.",
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
        description="Seconds after which it is taken not to answer.",
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
    embedding_model_name: Text = Field(
        default="all-MiniLM-L6-v2",
        description="The embedding model: a name on Hugging Face, a folder, or a GGUF file.",
    )
    embedding_backend: EmbeddingBackend = Field(
        default="auto",
        description="What embeds: `sentence_transformers`, `gguf`, `upstream` or `none`; `auto`:"
        " by the name and `EMBEDDING_URL`.",
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
        description="`float32` or `bfloat16`; `auto`: bfloat16 where the CPU computes with it and"
        " the vectors stay the same.",
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
    rag_top_k: int = Field(default=3, ge=1, description="Chunks retrieved for a question.")
    rag_score_threshold: float | None = Field(
        default=None, allow_inf_nan=False, description="Chunks that score lower are left out."
    )

    @model_validator(mode="after")
    def _combinations(self) -> "Settings":
        """What a single field cannot see. Each message is the whole line."""
        if self.api_key is not None:
            raise ValueError(
                "API_KEY is set, but this version cannot check keys yet: "
                "unset it, and keep the server on loopback"
            )
        if self.qdrant_url is not None and self.qdrant_host is not None:
            raise ValueError("QDRANT_URL: must be unset when QDRANT_HOST is set, or the reverse")
        if self.functions_dir is not None and not self.functions_dir.is_dir():
            raise ValueError(f"FUNCTIONS_DIR: there is no folder {str(self.functions_dir)!r}")
        if self.model_path is not None and (self.model_repo_id or self.model_filename):
            raise ValueError(
                "MODEL_PATH: must be unset when MODEL_REPO_ID or MODEL_FILENAME is set, "
                "or the reverse"
            )
        if self.model_repo_id is not None and self.model_filename is None:
            raise ValueError("MODEL_FILENAME: must be set, since MODEL_REPO_ID is")
        if self.model_filename is not None and self.model_repo_id is None:
            raise ValueError("MODEL_REPO_ID: must be set, since MODEL_FILENAME is")
        self._check_embeddings()
        return self

    def _check_embeddings(self) -> None:
        if self.embedding_backend == "upstream" and self.embedding_url is None:
            raise ValueError("EMBEDDING_URL: must be set, since EMBEDDING_BACKEND is upstream")
        if self.embedding_url is not None and self.embedding_backend not in ("auto", "upstream"):
            raise ValueError(
                f"EMBEDDING_URL: must be unset when EMBEDDING_BACKEND is {self.embedding_backend}"
            )
        is_here = _expand_home(Path(self.embedding_model_name)).exists()
        is_pinned = _COMMIT.fullmatch(self.embedding_revision or "") is not None
        if self.embedding_trust_remote_code and not is_here and not is_pinned:
            raise ValueError(
                "EMBEDDING_REVISION: must be a commit of 40 hexadecimal digits when"
                " EMBEDDING_TRUST_REMOTE_CODE is true: a branch may run other code tomorrow"
            )

    def without_effect(self) -> tuple[str, ...]:
        """Environment names of settings that were given but that this version does not use yet."""
        return tuple(sorted(name.upper() for name in self.model_fields_set & self.RESERVED))


def load_settings(**overrides: object) -> Settings:
    """Settings from `overrides`, then the environment, then `.env`, then the defaults.

    An override of None counts as not given. Raises `ConfigurationError`; TypeError for an
    override that is no setting. Secret values are in no message and no chained error.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if unknown := given.keys() - Settings.model_fields.keys():
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        message = explain(error.errors()[0], Settings.model_fields)
    except OSError as error:
        message = f".env: cannot be read: {error.strerror}"
    # Outside the handlers, because a chained ValidationError carries the values, secrets included.
    raise ConfigurationError(message)
