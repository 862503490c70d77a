"""The file of `--config`: what it may say, and the one line for what it may not.

Knows the file alone: not the settings that it overrides, nor whether the models and servers exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import AliasChoices, ByteSize, Field, StrictInt, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from llm_api.config.mcp_servers import MCPServerEntry
from llm_api.config.model_entry import AdapterEntry, ModelEntry, ReplicaEntry
from llm_api.config.problems import KIND_IN_WORDS, allowed_values, shown
from llm_api.config.sections.field_types import Section, Text
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.config.yaml_text import InvalidYamlError, parse_yaml

_KINDS: Final[Mapping[object, str]] = {
    **KIND_IN_WORDS,
    tuple: "a list that is not empty",
    dict: "a mapping of names to texts",
}
_ITEMS: Final[Mapping[str, str]] = {
    "aliases": "a text that is not empty",
    "fallbacks": "a text that is not empty",
    "replicas": "a mapping with a url",
    "tensor_split": "a number, at least 0",
    "args": "a text, in quotes where it looks like something else",
    "env": "a text, in quotes where it looks like something else",
    "headers": "a text of printable ASCII, in quotes where it looks like something else",
}
"""What the lists and mappings hold."""
_MCP_SERVERS: Final = ("mcp_servers", "mcpServers")
_LISTS: Final[Mapping[str, str]] = {
    "models": "a list or a mapping of at least one model",
    **dict.fromkeys(_MCP_SERVERS, "a mapping from names to servers"),
    "lora": "a mapping from names, without spaces and colons, to the paths of adapters",
}
_SECRET: Final = frozenset({"api_key", "args", "env", "headers", "url"})


class _File(Section):
    models: tuple[ModelEntry, ...] = Field(default=(), min_length=1)
    idle_seconds: StrictInt | None = Field(default=None, ge=1)
    memory: ByteSize | None = None
    mcp_servers: dict[Text, MCPServerEntry] = Field(
        default={}, validation_alias=AliasChoices(*_MCP_SERVERS)
    )


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The whole file. `models` are by their place in it, such as `models[0]`, and in its order.

    Without any, the file leaves the models to the settings. MCP servers are by their names.
    """

    models: Mapping[str, ModelEntry]
    idle_seconds: int | None
    memory_bytes: int | None
    mcp_servers: Mapping[str, MCPServerEntry]


def configuration_of(settings: Settings) -> ConfigFile | None:
    """The file that the settings name; None where they name none. Blocks.

    Raises ConfigurationError.
    """
    path = settings.config_file
    return None if path is None else load_config_file(path)


def load_config_file(path: Path) -> ConfigFile:
    """Read and validate the file. Blocks.

    Raises ConfigurationError with one line that names the file, the entry and the key.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name}: is not UTF-8 text") from error
    except InvalidYamlError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error
    try:
        return parse_config(data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def parse_config(data: object) -> ConfigFile:
    """The file out of its plain values. Pure. Raises ConfigurationError."""
    if not isinstance(data, dict):
        raise ConfigurationError("must be a mapping with keys such as models")
    places, entries = _entries(data.get("models"))
    given = {**data, "models": entries} if "models" in data else data
    try:
        file = _File.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(_explain(error.errors()[0], places)) from error
    models = dict(zip(places, file.models, strict=True))
    _check_names(models)
    return ConfigFile(models, file.idle_seconds, file.memory, file.mcp_servers)


def _entries(models: object) -> tuple[list[str], object]:
    """The places of the entries, and the entries as a list, each with its name in it.

    Hands back a value that is neither a list nor a mapping, for the validation to refuse.
    """
    if isinstance(models, list):
        return [f"models[{index}]" for index in range(len(models))], models
    if not isinstance(models, dict):
        return [], models
    for name, entry in models.items():
        if isinstance(entry, dict) and "name" in entry:
            raise ConfigurationError(f"models.{name}.name: the entry has its name already")
    return [f"models.{name}" for name in models], [
        {"name": name, **entry} if isinstance(entry, dict) else entry
        for name, entry in models.items()
    ]


def _explain(problem: ErrorDetails, places: list[str]) -> str:
    """One line for a rejected value: its place in the file, and what is accepted there."""
    location = problem["loc"]
    fields: Mapping[str, FieldInfo] = _File.model_fields
    place, keys = "", location
    if len(location) > 1 and location[0] == "models" and isinstance(location[1], int):
        fields, place, keys = ModelEntry.model_fields, places[location[1]], location[2:]
        if len(keys) > 2 and keys[0] == "replicas":
            fields, place, keys = (
                ReplicaEntry.model_fields,
                f"{place}.replicas[{keys[1]}]",
                keys[2:],
            )
        elif len(keys) > 2 and keys[0] == "lora" and keys[-1] != "[key]":
            fields, place, keys = AdapterEntry.model_fields, f"{place}.lora.{keys[1]}", keys[2:]
    elif len(location) > 1 and location[0] in _MCP_SERVERS:
        place, keys = f"{location[0]}.{location[1]}", location[2:]
        fields = MCPServerEntry.model_fields
    path = place + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    path = path.removeprefix(".").removesuffix(".[key]")
    return f"{path}: {_complaint(problem, keys, fields)}"


def _complaint(
    problem: ErrorDetails, keys: tuple[int | str, ...], fields: Mapping[str, FieldInfo]
) -> str:
    """What is wrong with the value at `keys` of a section with these fields."""
    if problem["loc"][-1] == "[key]" and keys[:1] != ("lora",):
        return "the name must be a text that is not empty"
    if not keys:
        is_own = problem["type"] == "value_error"
        return str(problem["ctx"]["error"]) if is_own else "must be a mapping of keys"
    key = str(keys[0])
    if problem["type"] == "extra_forbidden":
        return f"unknown key{_hint(key, fields)}"
    if problem["type"] == "missing":
        return "must be given"
    if key in _LISTS:
        return f"must be {_LISTS[key]}"
    words = _ITEMS[key] if len(keys) > 1 else allowed_values(fields[key], _KINDS)
    return f"must be {words}" + ("" if key in _SECRET else f", not {shown(problem['input'])}")


def _hint(key: str, fields: Mapping[str, FieldInfo]) -> str:
    near = get_close_matches(key, fields, n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _check_names(models: Mapping[str, ModelEntry]) -> None:
    """Raises ConfigurationError for a name or alias that two models, or one twice, go by."""
    taken: dict[str, str] = {}
    for place, entry in models.items():
        named = [("name", entry.name)]
        named += [(f"aliases[{index}]", alias) for index, alias in enumerate(entry.aliases)]
        for key, name in named:
            if name in taken:
                raise ConfigurationError(f"{place}.{key}: {shown(name)} is taken by {taken[name]}")
            taken[name] = f"{place}.{key}"
