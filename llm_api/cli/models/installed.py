"""`llm-api models list|show|delete`: the model files of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llm_api.cli.options import JSONOption, KeyOption, URLOption
from llm_api.cli.terminal import note, print_json, print_table, say

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.llm.files.installed import InstalledModel


EXAMPLES: Final = {
    "list_models": """Examples:

- `llm-api models list`

- `llm-api models list --config models.yaml --json`
""",
    "show": """Examples:

- `llm-api models show owner--name/model.gguf`
""",
}
_SERVER_SECONDS: Final = 0.5

ConfigOption = Annotated[
    Path | None, typer.Option(help="A YAML file of several models [CONFIG_FILE].")
]


def list_models(
    config: ConfigOption = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show the installed models; the arrow marks what the settings or the file choose.

    `loaded` are those in the memory of a server that runs on this machine, or at --url.
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.installed import installed_models

    settings = load_settings(config_file=config)
    in_use = _in_use(settings)
    installed = installed_models(settings.models_dir)
    loaded = _loaded(settings, url, api_key)
    if as_json:
        print_json([_facts(one, in_use, loaded) for one in installed])
        return
    columns = ("", "name", "size", "quantisation", "parameters", "context", "server", "where")
    rows = [_row(one, in_use, loaded) for one in installed]
    print_table(columns, rows, numbers=("size", "parameters", "context"))
    if not installed:
        note("No model is installed; `make setup` brings the default one.")
        return
    for path in in_use:
        if not any(_same(model.path, path) for model in installed):
            note(f"In use, elsewhere or not fetched yet: {path}")


def show(
    name: Annotated[str, typer.Argument(help="The name that `models list` shows.")],
    config: ConfigOption = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show what is known of an installed model."""
    from llm_api.config.settings import load_settings
    from llm_api.core.errors import ModelNotFoundError
    from llm_api.core.llm.files.installed import installed_models

    settings = load_settings(config_file=config)
    found = [
        one for one in installed_models(settings.models_dir) if name in (one.name, one.path.stem)
    ]
    if not found:
        raise ModelNotFoundError(f"There is no model {name}; see `llm-api models list`.")
    facts = _facts(found[0], _in_use(settings), _loaded(settings, url, api_key))
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        if value not in (None, ""):
            say(f"{key}: {_said(value)}")


def delete(
    name: Annotated[str, typer.Argument(help="The name that `models list` shows.")],
    as_json: JSONOption = False,
) -> None:
    """Delete a model file. Only files in the models folder are ever deleted.

    Example: `llm-api models delete owner--name/model.gguf`
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.installed import remove_model

    removed = remove_model(name, load_settings().models_dir)
    if as_json:
        print_json({"deleted": [str(path) for path in removed]})
        return
    for path in removed:
        say(f"Removed {path}")


def _row(model: "InstalledModel", in_use: list[Path], loaded: frozenset[str]) -> list[str]:
    from llm_api.core.utils.machine import format_bytes

    mark = "→" if any(_same(model.path, path) for path in in_use) else ""
    if model.model is None:
        size = format_bytes(model.path.stat().st_size) if model.path.is_file() else "?"
        return [mark, model.name, size, "broken", "", "", "", model.problem or ""]
    return [
        mark,
        model.name,
        format_bytes(model.model.size_bytes),
        model.model.quantisation,
        _short(model.model.parameter_count),
        str(model.model.context_length or "?"),
        "loaded" if model.path.stem in loaded else "",
        "installed package" if model.is_default else str(model.path.parent),
    ]


def _facts(
    model: "InstalledModel", in_use: list[Path], loaded: frozenset[str]
) -> dict[str, str | int | bool | None]:
    read = model.model
    return {
        "name": model.name,
        "path": str(model.path),
        "chosen": any(_same(model.path, path) for path in in_use),
        "loaded": model.path.stem in loaded,
        "problem": model.problem,
        "architecture": None if read is None else read.architecture,
        "quantisation": None if read is None else read.quantisation,
        "size_bytes": None if read is None else read.size_bytes,
        "parameters": None if read is None else read.parameter_count,
        "context_length": None if read is None else read.context_length,
    }


def _loaded(settings: "Settings", url: str | None, api_key: str | None) -> frozenset[str]:
    """Ids of the models that a server has in memory; none where no server answers at once.

    Of a server that was named, it is said.
    """
    import httpx2

    from llm_api.cli.remote_server import (
        checked_url,
        default_url,
        key_for,
        key_headers,
        message_of,
    )

    base = checked_url(url or default_url(settings))
    try:
        answer = httpx2.get(
            f"{base}/v1/models".replace("//v1", "/v1"),
            headers=key_headers(key_for(settings, url, api_key)),
            timeout=_SERVER_SECONDS,
            trust_env=False,
        )
        if answer.is_success:
            found = answer.json()["data"]
            return frozenset(str(one["id"]) for one in found if one.get("loaded"))
        why = message_of(answer)
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        why = f"No server answers at {base} at once."
    if url is not None:
        note(f"What is loaded is not known. {why}")
    return frozenset()


def _in_use(settings: "Settings") -> list[Path]:
    """Where the chosen models are, or will be once they are fetched; distinct."""
    from llm_api.config.chosen_models import choose_models
    from llm_api.core.errors import DownloadError, ModelFileError
    from llm_api.core.llm.files.installed import model_location

    paths: dict[Path, None] = {}
    for chosen in choose_models(settings).gguf:
        own = chosen.settings
        try:
            location = model_location(
                model_path=own.model_path,
                repo_id=own.model_repo_id,
                filename=own.model_filename,
                models_dir=own.models_dir,
            )
        except (DownloadError, ModelFileError):
            continue
        paths[location] = None
    return list(paths)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _said(value: object) -> str:
    """As people say it. Pure."""
    match value:
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _short(count: int) -> str:
    """Parameters as people name them: 135M, 1.5B. Pure."""
    if count >= 1e9:
        return f"{count / 1e9:.1f}B"
    return f"{count / 1e6:.0f}M" if count >= 1e6 else str(count)
