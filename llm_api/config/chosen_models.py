"""Which models are to be served, each with the settings that hold for it.

Out of the configuration file where it names any, else the one model of the environment.
"""

from dataclasses import dataclass
from pathlib import Path

from llm_api.config.config_file import ModelEntry, load_config_file
from llm_api.config.settings import ConfigurationError, Settings

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
    "mmap",
    "mlock",
)
"""Keys of an entry that are settings of the same name."""

_EXCLUDED = ("model_path", "model_repo_id", "model_filename", "model_aliases")
"""Settings that name a model, as the file does."""


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """One model. `name` None is that of its file; `place` is where the person named it."""

    name: str | None
    place: str
    loads_at_startup: bool
    settings: Settings


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """All models, and what they share. None means without limit."""

    models: tuple[ChosenModel, ...]
    idle_seconds: int | None
    memory_bytes: int | None

    def only(self, name: str | None) -> "ChosenModels":
        """The model of this name or alias alone, or the first, to be loaded at the start.

        Raises ConfigurationError where there is none of that name.
        """
        for model in self.models:
            if name is None or name in {model.name, *model.settings.model_aliases}:
                alone = ChosenModel(model.name, model.place, True, model.settings)
                return ChosenModels((alone,), self.idle_seconds, self.memory_bytes)
        known = ", ".join(str(model.name) for model in self.models)
        raise ConfigurationError(f"there is no model {name!r} in the file; it names {known}")


def choose_models(settings: Settings) -> ChosenModels:
    """What the settings and their configuration file mean. Blocks. Raises ConfigurationError.

    An entry of the file wins over the settings, its top level over the settings it mirrors.
    """
    path = settings.config_file
    if path is None:
        return ChosenModels(
            _of_environment(settings), settings.model_idle_seconds, settings.model_memory
        )
    file = load_config_file(path)
    if file.models:
        _check_nothing_else_names_a_model(settings)
    models = tuple(
        _chosen(entry, f"{path.name}: {place}", path.parent, settings)
        for place, entry in file.models.items()
    )
    return ChosenModels(
        models or _of_environment(settings),
        settings.model_idle_seconds if file.idle_seconds is None else file.idle_seconds,
        settings.model_memory if file.memory_bytes is None else file.memory_bytes,
    )


def _of_environment(settings: Settings) -> tuple[ChosenModel, ...]:
    return (ChosenModel(None, "", True, settings),)


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
        }
    )
    if own.kv_tokens is not None and own.kv_tokens < own.context_length:
        raise ConfigurationError(
            f"{place}.kv_tokens: must be at least context_length, {own.context_length},"
            f" not {own.kv_tokens}"
        )
    return ChosenModel(entry.name, place, entry.load == "startup", own)
