"""Which model is served, and how the engine runs it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, Field, model_validator
from pydantic_settings import NoDecode

from llm_api.config.sections.field_types import HomePath, Names, Text, lower, split_all

Shares = Annotated[
    tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...],
    NoDecode,
    BeforeValidator(split_all),
]
FlashAttention = Annotated[Literal["auto", "on", "off"], BeforeValidator(lower)]
KvCacheType = Annotated[Literal["f16", "q8_0", "q4_0"], BeforeValidator(lower)]
BackendName = Annotated[
    Literal[
        "llama",
        "openai",
        "vllm",
        "llama-server",
        "ollama",
        "huggingface",
        "claude",
        "markov",
        "stub",
    ],
    BeforeValidator(lower),
]


class ModelSettings(BaseModel):
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
        default=(),
        description="Further names the model answers to, separated by commas; in a pattern such as"
        " `claude-*haiku*`, `*` stands for any text.",
    )
    unknown_model: Annotated[Literal["refuse", "default"], BeforeValidator(lower)] = Field(
        default="refuse",
        description="What becomes of a request for a model that is not served: `refuse` (404), or"
        " `default`: the first model answers, and the header `x-llm-api-unknown-model` says so.",
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
    llm_backend: BackendName = Field(
        default="llama",
        description="What generates text: `llama` (this process), `openai`, `vllm`, `llama-server`,"
        " `ollama`, `huggingface`, `claude`, `markov` (a toy) or `stub` (an echo).",
    )
    weights: Annotated[Literal["fastest", "original"], BeforeValidator(lower)] = Field(
        default="fastest",
        description="Which weights of a model are run: `fastest`, those that `make setup` or"
        " `llm-api models optimize --auto` has kept beside its file, as they are as good and faster"
        " here; or the `original`.",
    )
    context_length: int | None = Field(
        default=None,
        ge=64,
        description="Tokens a prompt and its answer may take together. Unset: what the model was"
        " trained for, as far as memory allows.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of an answer when the request does not say. Unset: as many as the"
        " context has room for.",
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
        " included. Unset: `CONTEXT_LENGTH` for each of `PARALLEL`; where that is unset too,"
        " 2,048 for each, and at least the whole context.",
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
        description="Tokens guessed ahead, at most, where an answer repeats its context; 0 switches"
        " that off. Unset: 15, where that pays by what steps take on this machine.",
    )
    draft_model: HomePath | None = Field(
        default=None,
        description="A small GGUF model of the same vocabulary that guesses ahead; the model checks"
        " its guesses, and writes what it would without, faster where that pays.",
    )
    mtp: bool = Field(
        default=True,
        description="Where a model's file has layers that guess ahead (MTP) and no draft model is"
        " named: let them guess, where that pays.",
    )
    n_threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads that compute. Unset: one per physical core, and on Linux fewer while"
        " other programs hold the cores.",
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
    kv_cache_ram: ByteSize | None = Field(
        default=None,
        description="Memory for computed prefixes that have left the KV buffer, such as `2GB`; 0:"
        " none. Unset: a quarter of what the models leave free, at most 8 GiB.",
    )
    kv_cache_dir: HomePath | None = Field(
        default=None,
        description="A folder for computed prefixes, which then outlive the server. They are made"
        " of people's words. Unset: none are written.",
    )
    kv_cache_disk: ByteSize = Field(
        default=ByteSize(10_000_000_000), description="Bytes that `KV_CACHE_DIR` may hold."
    )
    kv_cache_hours: int = Field(
        default=168,
        ge=1,
        description="Hours without use after which a prefix of `KV_CACHE_DIR` is deleted.",
    )
    pinned_prompts: Names = Field(
        default=(),
        description="Files, separated by commas: texts of system prompts or documents that are"
        " always there, or `.json` with the `messages`, `tools` and `server_tools` of a chat. Each"
        " is computed once, kept for every key and given up for no other.",
    )
    mmap: bool = Field(default=True, description="Map the model file instead of reading it.")
    mlock: bool = Field(default=False, description="Keep the model in memory, never swapped out.")

    @model_validator(mode="after")
    def _one_model(self) -> "ModelSettings":
        if self.model_path is not None and (self.model_repo_id or self.model_filename):
            raise ValueError(
                "MODEL_PATH: must be unset when MODEL_REPO_ID or MODEL_FILENAME is set, "
                "or the reverse"
            )
        if self.model_repo_id is not None and self.model_filename is None:
            raise ValueError("MODEL_FILENAME: must be set, since MODEL_REPO_ID is")
        if self.model_filename is not None and self.model_repo_id is None:
            raise ValueError("MODEL_REPO_ID: must be set, since MODEL_FILENAME is")
        return self
