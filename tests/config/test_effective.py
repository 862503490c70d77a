"""The settings that hold are shown, and no secret among them, wherever it was put."""

import builtins
import json
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import pytest
from pydantic import AnyHttpUrl, BaseModel, SecretStr

from llm_api.config.config_file import ConfigFile, configuration_of
from llm_api.config.effective import effective_configuration, shown_fields
from llm_api.config.mcp_servers import MCPServerEntry
from llm_api.config.model_entry import ModelEntry
from llm_api.config.settings import Settings, load_settings

SECRET = "sesame"
URL = f"https://user:{SECRET}@host.example:8443/{SECRET}/v1?key={SECRET}#{SECRET}"
SHOWN_URL = "https://host.example:8443/***"


def planted(name: str, annotation: object) -> object:
    """A value of this type with the secret in it; None where there is no room for one."""
    inner = [planted(name, part) for part in get_args(annotation)]
    values = [value for value in inner if value is not None]
    if not values:
        return leaf(name, annotation)
    match get_origin(annotation):
        case builtins.dict:
            return {"NAME": values[-1]}
        case builtins.tuple:
            return (values[0],)
        case _:  # an option of several, or annotated
            return values[0]


def leaf(name: str, kind: object) -> object:
    if kind is str and "url" in name:
        return URL
    if kind is str and name == "args":
        return SECRET
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return full(kind)
    return {SecretStr: SecretStr(SECRET), AnyHttpUrl: AnyHttpUrl(URL)}.get(cast(Any, kind))


def full(model: type[BaseModel]) -> Any:
    """The model with the secret planted into each of its fields that has room for it."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        value = planted(name, field.annotation)
        values[name] = field.get_default() if value is None else value
    return model.model_construct(None, **values)


def secret_fields(model: type[BaseModel]) -> set[str]:
    return {
        name
        for name, field in model.model_fields.items()
        if "SecretStr" in repr(field.annotation) or "Url" in repr(field.annotation)
    }


def test_no_planted_secret_is_shown() -> None:
    settings, entry, server = full(Settings), full(ModelEntry), full(MCPServerEntry)
    planted_in = {name for name in Settings.model_fields if SECRET in revealed(settings, name)}
    assert planted_in >= secret_fields(Settings) | {"embedding_url"}
    assert {"qdrant_api_key", "qdrant_url", "api_key"} <= planted_in
    for name in ("args", "env", "headers", "url"):
        assert SECRET in revealed(server, name)
    entry = entry.model_copy(update={"name": "m"})
    shown = effective_configuration(
        settings, ConfigFile({"models[0]": entry}, None, None, {"server": server})
    )
    assert SECRET not in json.dumps(shown)
    settings_shown, servers = shown["settings"], shown["mcp_servers"]
    assert isinstance(settings_shown, dict)
    assert settings_shown["API_KEY"] == settings_shown["QDRANT_API_KEY"] == "***"
    assert settings_shown["QDRANT_URL"] == settings_shown["EMBEDDING_URL"] == SHOWN_URL
    assert isinstance(servers, dict)
    [server_shown] = servers.values()
    assert isinstance(server_shown, dict)
    assert {server_shown[name] for name in ("args", "env", "headers", "url")} == {"***"}


def revealed(model: BaseModel, name: str) -> str:
    """The value of a field as text, secrets included."""

    def reveal(value: object) -> object:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, dict):
            return {key: reveal(item) for key, item in value.items()}
        return value

    return str(reveal(getattr(model, name)))


class _Later(BaseModel):
    """What a section may hold one day, and under which names a text is a secret."""

    api_key: str = SECRET
    hf_token: str = SECRET
    client_secret: str = SECRET
    db_password: str = SECRET
    keys: list[str] = [SECRET]
    replicas: list[dict[str, object]] = [{"url": URL, "api_key": SECRET, "headers": {"x": SECRET}}]
    broken_url: str = f"https://user:{SECRET}@[host"
    no_host: str = f"redis://:{SECRET}@"


def test_a_secret_is_known_by_its_name_as_well() -> None:
    assert SECRET not in json.dumps(shown_fields(_Later()))


def test_a_key_that_is_not_set_is_told_from_one_that_is() -> None:
    settings = effective_configuration(Settings(), None)["settings"]
    assert isinstance(settings, dict)
    assert settings["QDRANT_API_KEY"] is None


def test_what_is_no_secret_is_shown_as_it_holds() -> None:
    shown = effective_configuration(
        Settings(port=9000, model_aliases=("a", "b"), temperature=0), None
    )
    settings = shown["settings"]
    assert isinstance(settings, dict)
    assert settings.keys() == {name.upper() for name in Settings.model_fields}
    assert (settings["PORT"], settings["MODEL_ALIASES"]) == (9000, ["a", "b"])
    assert (settings["TEMPERATURE"], settings["MMAP"]) == (0, True)
    assert settings["WEATHER_FORECAST_URL"] == "https://api.open-meteo.com"
    assert settings["MODELS_DIR"] == "models"
    assert settings["MODEL_PATH"] is None
    assert (shown["models"], shown["mcp_servers"]) == ({}, {})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host", "https://host"),
        ("https://host/", "https://host"),
        ("http://10.0.0.1:8080/v1", "http://10.0.0.1:8080/***"),
        ("http://user@[::1]:80", "http://[::1]:80/***"),
    ],
)
def test_of_a_url_only_the_origin_is_shown(url: str, shown: str) -> None:
    settings = effective_configuration(Settings(embedding_url=url), None)["settings"]
    assert isinstance(settings, dict)
    assert settings["EMBEDDING_URL"] == shown


def test_an_entry_of_the_file_wins_over_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "idle_seconds: 60\nmemory: 1GB\n"
        "models:\n"
        "  - {name: a, default: true, parallel: 2, threads: 3}\n"
        "  - {name: b, path: b.gguf, aliases: [c]}\n"
        "mcp_servers: {files: {command: npx}}\n"
    )
    given = {"parallel": 5, "n_threads": 7, "model_idle_seconds": 10, "context_length": 2048}
    settings = load_settings(config_file=file, **given)
    shown: Any = effective_configuration(settings, configuration_of(settings))
    assert shown["settings"]["MODEL_IDLE_SECONDS"] == 60
    assert shown["settings"]["MODEL_MEMORY"] == 1_000_000_000
    a, b = shown["models"]["a"], shown["models"]["b"]
    assert (a["parallel"], a["threads"], a["default"], a["load"]) == (2, 3, True, "on_demand")
    assert (b["parallel"], b["threads"], b["path"], b["aliases"]) == (5, 7, "b.gguf", ["c"])
    assert b["context_length"] == 2048
    assert shown["mcp_servers"]["files"]["command"] == "npx"
    assert shown["mcp_servers"]["files"]["env"] is None
