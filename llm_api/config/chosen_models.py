"""Which models are to be served, each with the settings that hold for it.

Out of the configuration file where it names any, else the one model of the environment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from llm_api.config.chosen_backends import (
    ChosenBackend,
    backend_of_entry,
    backend_of_environment,
)
from llm_api.config.config_file import ConfigFile, configuration_of
from llm_api.config.model_entry import ModelEntry
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.utils.model_names import meant

_OVERRIDES = (
    "context_length",
    "max_tokens",
    "temperature",
    "parallel",
    "kv_tokens",
    "max_queue",
    "gpu_layers",
    "main_gpu",
    "tensor_split",
    "flash_attention",
    "kv_cache_type",
    "weights",
    "mmap",
    "mlock",
)
"""Keys of an entry that are settings of the same name."""

_EXCLUDED = ("model_path", "model_repo_id", "model_filename", "model_aliases", "draft_model")
"""Settings that name a model, as the file does."""


@dataclass(frozen=True, slots=True)
class ChosenAdapter:
    """A LoRA adapter: what requests call it, its file, and how strongly it counts by itself."""

    name: str
    path: Path
    scale: float


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """One model. `name` None is that of its file; `place` is where the person named it.

    `settings` hold for an engine in this process; `backend` says whether it is one.
    """

    name: str | None
    place: str
    loads_at_startup: bool
    settings: Settings
    backend: ChosenBackend
    adapters: tuple[ChosenAdapter, ...] = ()


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """All models, and what they share. None means without limit."""

    models: tuple[ChosenModel, ...]
    idle_seconds: int | None
    memory_bytes: int | None

    @property
    def gguf(self) -> tuple[ChosenModel, ...]:
        """Those that are files for this server's own engine."""
        return tuple(model for model in self.models if model.backend.kind == "llama")

    def only(self, name: str | None) -> "ChosenModels":
        """The model that a name means alone, or the first, to be loaded at the start.

        Raises ConfigurationError where there is none of that name; ModelNotFoundError where it
        could be any of several.
        """
        names = {str(model.name): model.settings.model_aliases for model in self.models}
        wanted = None if name is None else meant(name, names)
        for model in self.models:
            if name is None or wanted == str(model.name):
                backend = replace(model.backend, fallbacks=())
                alone = replace(model, loads_at_startup=True, backend=backend)
                return ChosenModels((alone,), self.idle_seconds, self.memory_bytes)
        known = ", ".join(str(model.name) for model in self.models)
        raise ConfigurationError(f"there is no model {name!r} in the file; it names {known}")


def choose_models(settings: Settings) -> ChosenModels:
    """`chosen_models` for those who need nothing else of the file. Blocks: reads it."""
    return chosen_models(settings, configuration_of(settings))


def chosen_models(settings: Settings, file: ConfigFile | None) -> ChosenModels:
    """What the settings and their configuration file mean. Raises ConfigurationError.

    An entry of the file wins over the settings, its top level over the settings it mirrors.
    """
    path = settings.config_file
    if path is None or file is None:
        return ChosenModels(
            _of_environment(settings), settings.model_idle_seconds, settings.model_memory
        )
    if file.models:
        _check_nothing_else_names_a_model(settings)
    models = tuple(
        _chosen(entry, f"{path.name}: {place}", path.parent, settings)
        for place, entry in file.models.items()
    )
    return ChosenModels(
        _with_fallbacks(models, settings) or _of_environment(settings),
        settings.model_idle_seconds if file.idle_seconds is None else file.idle_seconds,
        settings.model_memory if file.memory_bytes is None else file.memory_bytes,
    )


def _of_environment(settings: Settings) -> tuple[ChosenModel, ...]:
    backend = backend_of_environment(settings)
    name = None if backend.kind == "llama" else backend.model or backend.kind
    if name is not None and backend.is_engine and Path(name).is_dir():
        name = Path(name).name
    return (ChosenModel(name, "", True, settings, backend),)


def _with_fallbacks(models: Sequence[ChosenModel], settings: Settings) -> tuple[ChosenModel, ...]:
    """The models with the ids of their fallbacks, and the stub if it is one without an entry."""
    ids = {
        name: str(model.name)
        for model in models
        for name in (str(model.name), *model.settings.model_aliases)
    }
    if STUB not in ids and any(STUB in model.backend.fallbacks for model in models):
        own = settings.model_copy(update={"model_aliases": ()})
        models = [*models, ChosenModel(STUB, "", True, own, ChosenBackend("stub"))]
        ids[STUB] = STUB
    found = tuple(
        replace(model, backend=replace(model.backend, fallbacks=_ids(model.backend.fallbacks, ids)))
        for model in models
    )
    check_fallbacks(
        {str(model.name): model.backend.fallbacks for model in found},
        {str(model.name): model.place for model in found},
    )
    return found


def _ids(names: Sequence[str], ids: Mapping[str, str]) -> tuple[str, ...]:
    """Distinct ids, in order. A name that is none stays for the check to refuse."""
    return tuple(dict.fromkeys(ids.get(name, name) for name in names))


def _check_nothing_else_names_a_model(settings: Settings) -> None:
    if named := [name.upper() for name in _EXCLUDED if getattr(settings, name)]:
        raise ConfigurationError(
            f"CONFIG_FILE: must name no models when {' and '.join(named)} is set, or the reverse"
        )


def _chosen(entry: ModelEntry, place: str, folder: Path, settings: Settings) -> ChosenModel:
    overrides = {name: getattr(entry, name) for name in _OVERRIDES}
    overrides["n_threads"] = entry.threads
    given = {name: value for name, value in overrides.items() if value is not None}
    # The entry's values are validated by the same rules as the settings'.
    own = settings.model_copy(
        update={
            **given,
            "model_path": None if entry.path is None else folder / entry.path,
            "model_repo_id": entry.repo_id,
            "model_filename": entry.filename,
            "model_aliases": entry.aliases,
            "draft_model": None if entry.draft is None else folder / entry.draft.path,
        }
    )
    backend = backend_of_entry(entry, place, settings)
    if backend.kind != "llama":
        return ChosenModel(entry.name, place, entry.load == "startup", own, backend)
    if (own.kv_tokens or own.context_length or 0) < (own.context_length or 0):
        raise ConfigurationError(
            f"{place}.kv_tokens: must be at least context_length, {own.context_length},"
            f" not {own.kv_tokens}"
        )
    adapters = tuple(
        ChosenAdapter(name, folder / adapter.path, adapter.scale)
        for name, adapter in (entry.lora or {}).items()
    )
    for adapter in adapters:
        if not adapter.path.is_file():
            raise ConfigurationError(f"{place}.lora.{adapter.name}: there is no {adapter.path}")
    if own.draft_model is not None and not own.draft_model.is_file():
        raise ConfigurationError(f"{place}.draft: there is no {own.draft_model}")
    return ChosenModel(entry.name, place, entry.load == "startup", own, backend, adapters)


STUB: Final = "stub"
"""A fallback of this name needs no entry: it is the backend `stub`."""


def check_fallbacks(fallbacks: Mapping[str, Sequence[str]], places: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a fallback that is no model, or that leads back to its own.

    Both are by the ids of the models; `places` are where the person named them.
    """
    for model, names in fallbacks.items():
        for index, name in enumerate(names):
            if name not in fallbacks:
                near = get_close_matches(name, fallbacks, n=1, cutoff=0.7)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ConfigurationError(
                    f"{places[model]}.fallbacks[{index}]: no model is named {name!r}{hint}"
                )
    for model in fallbacks:
        _walk((model,), fallbacks, places)


def _walk(
    path: tuple[str, ...], fallbacks: Mapping[str, Sequence[str]], places: Mapping[str, str]
) -> None:
    for name in fallbacks[path[-1]]:
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            raise ConfigurationError(f"{places[path[0]]}.fallbacks: go in a circle: {circle}")
        _walk((*path, name), fallbacks, places)
