"""`llm-api keys`: make, list and delete the API keys of a file. Needs no server."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import note, print_json, print_table, say

if TYPE_CHECKING:
    from llm_api.config.keys_file import KeyEntry

FileOption = Annotated[Path | None, typer.Option("--file", help="The file [API_KEYS_FILE].")]
Amount = Annotated[int | None, typer.Option(min=1)]


def create(  # noqa: PLR0913, PLR0917 - the options of a command
    name: Annotated[str, typer.Argument(help="Who gets it: a-z, 0-9, '.', '_' and '-'.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="generate, embed, rag, functions or admin. Unless said: all but admin."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model it may use. Unless said: every model.")
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:read|:write]",
            help="A collection it may read, or also write, such as 'team-*:write'. Unless said:"
            " every one.",
        ),
    ] = None,
    filter: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="What the metadata of documents have to fulfil that it sees and stores.",
        ),
    ] = None,
    requests_per_minute: Amount = None,
    tokens_per_minute: Amount = None,
    tokens_per_day: Amount = None,
    concurrency: Amount = None,
    file: FileOption = None,
    as_json: JSONOption = False,
) -> None:
    """Make a key, and show it this once: the file keeps its hash alone.

    Limits that are not given are those of the settings `KEY_...`.

    Example: `llm-api keys create alice --scope generate --tokens-per-day 100000`
    """
    from llm_api.config.keys_file import add_key, hash_text
    from llm_api.core.access.keys import digest_of, new_secret

    secret = new_secret()
    path = _path(file)
    add_key(
        path,
        name=name,
        hash=hash_text(digest_of(secret)),
        scopes=scope,
        models=model,
        collections=_collections(collection),
        filter=_filter(filter),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        tokens_per_day=tokens_per_day,
        concurrency=concurrency,
        created=datetime.now(UTC).date(),
    )
    if as_json:
        print_json({"name": name, "key": secret, "file": str(path)})
        return
    say(secret)
    note(f"The key of {name} is in {path}, as a hash: this is the only time it is shown.")


def list_keys(file: FileOption = None, as_json: JSONOption = False) -> None:
    """Show the keys: who has them, and what they permit; not the keys themselves.

    Example: `API_KEYS_FILE=keys.yaml llm-api keys list`
    """
    from llm_api.config.keys_file import read_keys

    entries = read_keys(_path(file))
    if as_json:
        print_json([_facts(entry) for entry in entries])
        return
    rows = (
        (
            entry.name,
            "" if entry.created is None else entry.created.isoformat(),
            " ".join(entry.scopes),
            "all" if entry.models is None else " ".join(entry.models),
            _documents(entry),
            _limits(entry),
        )
        for entry in entries
    )
    print_table(("name", "created", "scopes", "models", "documents", "limits"), rows)


def show(
    name: Annotated[str, typer.Argument(help="The name that `keys list` shows.")],
    file: FileOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show what a key permits; not the key itself.

    Example: `llm-api keys show alice --file keys.yaml`
    """
    facts = _facts(_entry(_path(file), name))
    if as_json:
        print_json(facts)
        return
    for field, value in facts.items():
        if value is not None:
            say(f"{field}: {value if isinstance(value, str | int) else json.dumps(value)}")


def delete(
    name: Annotated[str, typer.Argument(help="The name that `keys list` shows.")],
    file: FileOption = None,
    as_json: JSONOption = False,
) -> None:
    """Delete a key. Requests that are being answered go on; the next one is refused.

    Example: `llm-api keys delete alice --file keys.yaml`
    """
    from llm_api.config.keys_file import remove_key

    path = _path(file)
    remove_key(path, _entry(path, name).name)
    if as_json:
        print_json({"deleted": name, "file": str(path)})
    else:
        note(f"The key of {name} is no longer in {path}.")


def _entry(path: Path, name: str) -> "KeyEntry":
    """Raises InvalidRequestError where there is none of this name."""
    from llm_api.config.keys_file import read_keys
    from llm_api.core.errors import InvalidRequestError

    for entry in read_keys(path):
        if entry.name == name:
            return entry
    raise InvalidRequestError(f"{path} has no key of {name}; see `llm-api keys list`.")


def _facts(entry: "KeyEntry") -> dict[str, object]:
    """All but the hash. Pure."""
    facts: dict[str, object] = entry.model_dump(mode="json", exclude={"hash"})
    return facts


def _path(file: Path | None) -> Path:
    """The file that is meant. Raises BadParameter."""
    from llm_api.config.settings import load_settings

    path = load_settings(api_keys_file=file).api_keys_file
    if path is None:
        raise typer.BadParameter("say which file with --file, or set API_KEYS_FILE.")
    return path


def _collections(given: list[str] | None) -> dict[str, str] | None:
    """Rights by name: to read, unless it is said. Pure."""
    if given is None:
        return None
    parts = (one.partition(":") for one in given)
    return {name: right or "read" for name, _, right in parts}


def _filter(text: str | None) -> object:
    """Raises BadParameter."""
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise typer.BadParameter('--filter is no JSON, such as {"team": "red"}.') from error


def _documents(entry: "KeyEntry") -> str:
    """The collections that the entry names, and its filter. Pure."""
    named = entry.collections
    shown = "all" if named is None else " ".join(f"{name}:{named[name]}" for name in named)
    return shown if entry.filter is None else f"{shown} where {json.dumps(entry.filter)}"


def _limits(entry: "KeyEntry") -> str:
    """The limits that the entry names. Pure."""
    limits = {
        "requests/min": entry.requests_per_minute,
        "tokens/min": entry.tokens_per_minute,
        "tokens/day": entry.tokens_per_day,
        "at once": entry.concurrency,
    }
    return ", ".join(f"{value} {unit}" for unit, value in limits.items() if value is not None)
