"""One model in the file of `--config`: its keys, and which of them go with which backend."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictFloat,
    StrictInt,
)

from llm_api.config.sections.field_types import HomePath, Section, Text
from llm_api.config.sections.gateway import HuggingFaceMode, Routing
from llm_api.config.sections.models import BackendName, KvCacheType
from llm_api.config.settings import ConfigurationError


def _switch(value: object) -> object:
    """`on` and `off` are truth values to YAML."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class ReplicaEntry(Section):
    """One of the servers that run a model. What is not given holds as the entry says."""

    url: AnyHttpUrl
    weight: StrictFloat = Field(default=1, ge=0.001, allow_inf_nan=False)
    model: Text | None = None
    api_key: SecretStr | None = None


class AdapterEntry(Section):
    """A LoRA adapter in GGUF, and how strongly it counts where a request does not say."""

    path: HomePath
    scale: StrictFloat = Field(default=1, ge=-100, le=100, allow_inf_nan=False)


class DraftEntry(Section):
    """A small model in GGUF that guesses ahead for this one."""

    path: HomePath


def _as_entry(value: object) -> object:
    """A path alone stands for an adapter, or for a model that drafts."""
    return {"path": value} if isinstance(value, str) else value


AdapterName = Annotated[str, Field(pattern=r"^[^\s:]{1,256}$")]


class ModelEntry(Section):
    """One model. What is not given holds as the settings say."""

    name: Text
    backend: BackendName | None = None
    path: HomePath | None = None
    repo_id: Text | None = None
    filename: Text | None = None
    default: StrictBool = False
    model: Text | None = None
    mode: HuggingFaceMode | None = None
    url: AnyHttpUrl | None = None
    api_key: SecretStr | None = None
    replicas: tuple[ReplicaEntry, ...] = Field(default=(), min_length=1)
    routing: Routing | None = None
    fallbacks: tuple[Text, ...] = Field(default=(), min_length=1)
    first_token_seconds: StrictFloat | None = Field(default=None, ge=0.1, allow_inf_nan=False)
    total_seconds: StrictFloat | None = Field(default=None, ge=0.1, allow_inf_nan=False)
    aliases: tuple[Text, ...] = ()
    load: Literal["startup", "on_demand"] = "on_demand"
    context_length: StrictInt | None = Field(default=None, ge=64)
    max_tokens: StrictInt | None = Field(default=None, ge=1)
    temperature: StrictFloat | None = Field(default=None, ge=0, le=2)
    parallel: StrictInt | None = Field(default=None, ge=1, le=128)
    kv_tokens: StrictInt | None = Field(default=None, ge=64)
    max_queue: StrictInt | None = Field(default=None, ge=0)
    threads: StrictInt | None = Field(default=None, ge=1)
    gpu_layers: StrictInt | None = Field(default=None, ge=-1)
    main_gpu: StrictInt | None = Field(default=None, ge=0)
    tensor_split: tuple[Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)], ...] | None = (
        Field(default=None, min_length=1)
    )
    flash_attention: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] | None = None
    kv_cache_type: KvCacheType | None = None
    weights: Literal["fastest", "original"] | None = None
    mmap: StrictBool | None = None
    mlock: StrictBool | None = None
    draft: Annotated[DraftEntry, BeforeValidator(_as_entry)] | None = None
    lora: Mapping[AdapterName, Annotated[AdapterEntry, BeforeValidator(_as_entry)]] | None = Field(
        default=None, min_length=1, max_length=64
    )


_EVERYWHERE: Final = frozenset(
    {
        "name",
        "backend",
        "aliases",
        "context_length",
        "max_tokens",
        "temperature",
        "fallbacks",
        "first_token_seconds",
        "total_seconds",
    }
)

_SERVER: Final = frozenset({"model", "url", "api_key", "replicas", "routing"})
_LLAMA: Final = frozenset(ModelEntry.model_fields) - _EVERYWHERE - _SERVER - {"mode"}
_OWN_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "llama": _LLAMA,
    **dict.fromkeys(("openai", "vllm", "llama-server", "ollama", "claude"), _SERVER),
    "huggingface in the cloud": _SERVER | {"mode"},
    "huggingface in this process": frozenset(
        {"model", "mode", "filename", "load", "parallel", "max_queue"}
    ),
    "markov": frozenset(),
    "stub": frozenset(),
}


def check_keys(entry: ModelEntry, place: str, backend: BackendName, mode: HuggingFaceMode) -> None:
    """Raises ConfigurationError for keys that make no sense with this backend, or together."""
    kind: str = backend
    if backend == "huggingface":
        kind = f"huggingface in {'the cloud' if mode == 'cloud' else 'this process'}"
    for key in ModelEntry.model_fields:  # in the order in which people read about them
        is_given = key in entry.model_fields_set and getattr(entry, key) is not None
        if is_given and key not in _EVERYWHERE | _OWN_KEYS[kind]:
            raise ConfigurationError(f"{place}.{key}: means nothing to the backend {kind}")
    if backend == "llama":
        _check_source(entry, place)
    if entry.url is not None and entry.replicas:
        raise ConfigurationError(f"{place}: must give url or replicas, not both")


def _check_source(entry: ModelEntry, place: str) -> None:
    if (entry.repo_id is None) != (entry.filename is None):
        raise ConfigurationError(f"{place}: must give repo_id and filename together")
    if (entry.path is not None) + (entry.repo_id is not None) + entry.default != 1:
        raise ConfigurationError(
            f"{place}: must say where the model is by exactly one of path, repo_id with filename,"
            " and default: true; or name a backend that runs elsewhere"
        )
