"""The settings that hold, as anybody may see them: without any secret.

Covers: values of a secret type; of a URL all but scheme, host and port, since keys are put into
each other part of one; values under names that say secret, whatever their type; and of an MCP
server the arguments, variables, headers and address. Does not cover: a secret in a setting that is
none, such as a path or an alias.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from llm_api.config.config_file import ConfigFile
from llm_api.config.model_entry import ModelEntry
from llm_api.config.settings import Settings
from llm_api.core.llm.types import JSON

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"(^|_)(api_?)?keys?$|(^|_)token$|secret|password|credential|authorization|^(args|env|headers|url)$"
)
_SETTING_OF_KEY: Mapping[str, str] = {"threads": "n_threads"}
"""Where an entry of the file calls a setting by another name."""


def effective_configuration(settings: Settings, file: ConfigFile | None) -> dict[str, JSON]:
    """What holds, by names of settings, then for each model and MCP server of the file. Pure.

    An entry of the file wins over the settings.
    """
    shown = shown_fields(settings)
    models: dict[str, JSON] = {}
    servers: dict[str, JSON] = {}
    if file is not None:
        if file.idle_seconds is not None:
            shown["model_idle_seconds"] = file.idle_seconds
        if file.memory_bytes is not None:
            shown["model_memory"] = file.memory_bytes
        models = {entry.name: _shown_model(entry, shown) for entry in file.models.values()}
        servers = {name: shown_fields(entry) for name, entry in file.mcp_servers.items()}
    named: dict[str, JSON] = {name.upper(): value for name, value in shown.items()}
    return {"settings": named, "models": models, "mcp_servers": servers}


def _shown_model(entry: ModelEntry, settings: Mapping[str, JSON]) -> dict[str, JSON]:
    """What the entry says, and where it says nothing, what the settings do."""
    own = shown_fields(entry)
    for key, value in own.items():
        if value is None:
            own[key] = settings.get(_SETTING_OF_KEY.get(key, key))
    return own


def shown_fields(model: BaseModel) -> dict[str, JSON]:
    """Every field of settings, or of a section of the file, without its secrets. Pure."""
    return {name: _shown(name, getattr(model, name)) for name in type(model).model_fields}


def _shown(name: str, value: object) -> JSON:
    if value is None or value in ({}, ()):
        return None
    if _SECRET_NAME.search(name.lower()) or isinstance(value, SecretStr):
        return HIDDEN
    return _plain(value)


def _plain(value: object) -> JSON:
    """A value that is no secret as JSON; what is in it may still be one."""
    match value:
        case bool() | int() | float():
            return value
        case BaseModel():
            return dict(shown_fields(value))
        case Mapping():
            return {str(key): _shown(str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [_shown("", item) for item in value]
        case _:
            return _without_secrets(str(value))


def _without_secrets(text: str) -> str:
    """A text as it is; of a URL, what cannot be secret. Pure."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return HIDDEN
    if host is None:
        return HIDDEN
    address = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{address}" + ("" if port is None else f":{port}")
    return origin if text.rstrip("/") == origin else f"{origin}/{HIDDEN}"
