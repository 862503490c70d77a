"""Which backend answers for a model, and on which servers. Contacts none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import AnyHttpUrl, SecretStr

from llm_api.config.model_entry import ModelEntry, check_keys
from llm_api.config.sections.gateway import Routing
from llm_api.config.sections.models import BackendName
from llm_api.config.settings import ConfigurationError, Settings, revealed


@dataclass(frozen=True, slots=True)
class ChosenReplica:
    """A server that runs a model, and the name it has there."""

    url: str
    model: str
    api_key: SecretStr | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ChosenBackend:
    """What runs a model: without `replicas` this process. `fallbacks` are names of models.

    `model` is the backend's own name for it, where it has one. Seconds None are unlimited.
    """

    kind: BackendName
    model: str | None = None
    replicas: tuple[ChosenReplica, ...] = ()
    routing: Routing = "prefix"
    fallbacks: tuple[str, ...] = ()
    first_token_seconds: float | None = None
    total_seconds: float | None = None

    @property
    def is_engine(self) -> bool:
        """Whether it computes a large model here: one process at a time should."""
        return self.kind in {"llama", "huggingface"} and not self.replicas


@dataclass(frozen=True, slots=True)
class _Server:
    """The settings that say where a kind of server is; its public `service`, which asks a key."""

    url: str
    model: str
    api_key: str | None = None
    service: str | None = None


_OPENAI: Final = ("openai_base_url", "openai_model", "openai_api_key")
_SERVERS: Final[Mapping[BackendName, _Server]] = {
    "openai": _Server(*_OPENAI, "https://api.openai.com/v1"),
    "vllm": _Server(*_OPENAI),
    "llama-server": _Server(*_OPENAI),
    "ollama": _Server("ollama_url", "ollama_model"),
    "claude": _Server(
        "claude_base_url", "claude_model", "claude_api_key", "https://api.anthropic.com"
    ),
    "huggingface": _Server(
        "hf_base_url", "hf_model", "hf_api_key", "https://router.huggingface.co/v1"
    ),
}


def backend_of_environment(settings: Settings) -> ChosenBackend:
    """What LLM_BACKEND and its settings mean. Raises ConfigurationError for one that is missing."""
    kind = settings.llm_backend
    server = _SERVERS.get(kind)
    if server is None:
        return ChosenBackend(kind)
    model = getattr(settings, server.model)
    if model is None:
        raise _unset(server.model, kind)
    if kind == "huggingface" and settings.hf_mode == "local":
        return ChosenBackend(kind, model)
    url = _url(settings, server)
    if url is None:
        raise _unset(server.url, kind)
    key = _key(settings, server)
    if server.api_key is not None and key is None and url == server.service:
        raise _unset(server.api_key, kind)
    return ChosenBackend(
        kind,
        model,
        (ChosenReplica(url, model, key),),
        first_token_seconds=settings.upstream_first_token_seconds,
        total_seconds=settings.upstream_total_seconds,
    )


def backend_of_entry(entry: ModelEntry, place: str, settings: Settings) -> ChosenBackend:
    """What an entry of the file means; what it does not say holds as in the settings.

    Its model goes by the entry's own name unless said. Raises ConfigurationError.
    """
    kind = entry.backend or settings.llm_backend
    mode = entry.mode or settings.hf_mode
    check_keys(entry, place, kind, mode)
    server = _SERVERS.get(kind)
    is_here = server is None or (kind == "huggingface" and mode == "local")
    first_token, total = entry.first_token_seconds, entry.total_seconds
    return ChosenBackend(
        kind,
        entry.model or entry.name,
        () if server is None or is_here else _replicas(entry, place, server, settings),
        entry.routing or "prefix",
        entry.fallbacks,
        first_token or (None if is_here else settings.upstream_first_token_seconds),
        total or (None if is_here else settings.upstream_total_seconds),
    )


def _replicas(
    entry: ModelEntry, place: str, server: _Server, settings: Settings
) -> tuple[ChosenReplica, ...]:
    own_key = _revealed(entry.api_key, f"{place}.api_key", settings)
    model = entry.model or entry.name
    if entry.replicas:
        return tuple(
            ChosenReplica(
                str(replica.url),
                replica.model or model,
                _revealed(replica.api_key, f"{place}.replicas[{index}].api_key", settings)
                or own_key,
                replica.weight,
            )
            for index, replica in enumerate(entry.replicas)
        )
    if entry.url is not None:
        # The settings' key is for the settings' server: it is sent to no other.
        return (ChosenReplica(str(entry.url), model, own_key),)
    url, key = _url(settings, server), own_key or _key(settings, server)
    if url is None:
        missing = server.url.upper()
        raise ConfigurationError(f"{place}.url: must be given, since {missing} is unset")
    if server.api_key is not None and key is None and url == server.service:
        missing = server.api_key.upper()
        raise ConfigurationError(f"{place}.api_key: must be given, since {missing} is unset")
    return (ChosenReplica(url, model, key),)


def _url(settings: Settings, server: _Server) -> str | None:
    url: AnyHttpUrl | None = getattr(settings, server.url)
    return server.service if url is None else str(url)


def _key(settings: Settings, server: _Server) -> SecretStr | None:
    key: SecretStr | None = getattr(settings, server.api_key) if server.api_key else None
    return key


def _revealed(key: SecretStr | None, place: str, settings: Settings) -> SecretStr | None:
    try:
        return None if key is None else revealed(key, settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error.message}") from None


def _unset(name: str, kind: BackendName) -> ConfigurationError:
    return ConfigurationError(f"{name.upper()}: must be set, since LLM_BACKEND is {kind}")
