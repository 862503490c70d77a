"""`llm-api models list|pull|delete`: the model files of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from llm_api.cli.terminal import harmless, notes, output

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.llm.files.installed import InstalledModel


def list_models(
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of several models [CONFIG_FILE].")
    ] = None,
) -> None:
    """Show the installed models; the arrow marks what the settings or the file choose.

    Example: `llm-api models list`
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.installed import installed_models

    settings = load_settings(config_file=config)
    in_use = _in_use(settings)
    table = Table(box=None, pad_edge=False)
    for column in ("", "name", "size", "quantisation", "parameters", "context", "where"):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    installed = installed_models(settings.models_dir)
    for model in installed:
        table.add_row(*_row(model, in_use))
    output().print(table)
    if not installed:
        notes().print("No model is installed; `make setup` brings the default one.", markup=False)
        return
    for path in in_use:
        if not any(_same(model.path, path) for model in installed):
            notes().print(f"In use, elsewhere or not fetched yet: {path}", markup=False)


def pull(
    repository: Annotated[str, typer.Argument(help="Repository on the hub, as owner/name.")],
    file: Annotated[str, typer.Argument(help="A .gguf file in it; of a split model the first.")],
) -> None:
    """Fetch a model. An interrupted download goes on where it stopped when you pull again.

    `HF_TOKEN` opens gated repositories, `HF_ENDPOINT` names another hub.

    Example: `llm-api models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF qwen2.5-0.5b-instruct-q4_k_m.gguf`
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.download import pull_model

    try:
        path = pull_model(repository, file, load_settings().models_dir)
    except KeyboardInterrupt:
        notes().print("Interrupted. Pull again, and it goes on where it stopped.", markup=False)
        raise
    output().print(path, markup=False, soft_wrap=True)
    notes().print(f"Serve it with: llm-api serve --model-path {path}", markup=False, soft_wrap=True)


def delete(
    name: Annotated[str, typer.Argument(help="The name that `models list` shows.")],
) -> None:
    """Delete a model file. Only files in the models folder are ever deleted.

    Example: `llm-api models delete owner--name/model.gguf`
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.installed import remove_model

    for path in remove_model(name, load_settings().models_dir):
        output().print(f"Removed {path}", markup=False, soft_wrap=True)


_NUMBERS = {"size", "parameters", "context"}


def _row(model: "InstalledModel", in_use: list[Path]) -> list[Text]:
    from llm_api.core.utils.machine import format_bytes

    mark = "→" if any(_same(model.path, path) for path in in_use) else ""
    if model.model is None:
        size = format_bytes(model.path.stat().st_size) if model.path.is_file() else "?"
        cells = [mark, model.name, size, "broken", "", "", model.problem or ""]
    else:
        cells = [
            mark,
            model.name,
            format_bytes(model.model.size_bytes),
            model.model.quantisation,
            _short(model.model.parameter_count),
            str(model.model.context_length or "?"),
            "installed package" if model.is_default else str(model.path.parent),
        ]
    return [Text(harmless(cell)) for cell in cells]


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


def _short(count: int) -> str:
    """Parameters as people name them: 135M, 1.5B. Pure."""
    if count >= 1e9:
        return f"{count / 1e9:.1f}B"
    return f"{count / 1e6:.0f}M" if count >= 1e6 else str(count)
