"""`llm-api cache`: see and delete the computed prefixes that are kept.

Those of a running server, in its memory and on its disk; where none runs, or a folder is named,
those that servers have written there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_api.cli.options import JSONOption, KeyOption, URLOption
from llm_api.cli.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from llm_api.cli.remote_server import ServerAPI
    from llm_api.core.llm.prefix_cache.stored import StoredPrefix

FolderOption = Annotated[
    Path | None,
    typer.Option("--dir", help="What a folder holds, and no server [KV_CACHE_DIR]."),
]


def list_prefixes(
    folder: FolderOption = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show the prefixes that are kept: whose they are, how long, how large, where, and last used.

    Example: `llm-api cache list --dir /var/cache/llm-api`
    """
    from llm_api.core.utils.machine import format_bytes

    answer = None if folder else _asked(url, api_key, lambda server: server.get("/v1/cache"))
    if answer is None:
        found = [_of_file(stored) for stored in _found(_folder(folder))]
    else:
        found = [_of_server(one) for one in answer["data"]]
    if as_json:
        print_json(found)
        return
    if not found:
        note("There are no prefixes.")
        return
    print_table(
        ("key", "model", "tokens", "size", "where", "used"),
        [
            (
                one["key"] or ("pinned" if one["pinned"] else "-"),
                one["model"],
                one["tokens"],
                format_bytes(one["bytes"]),
                " ".join(one["where"]),
                one["used"],
            )
            for one in found
        ],
        numbers=("tokens", "size"),
    )


def clear(
    folder: FolderOption = None,
    key: Annotated[str | None, typer.Option(help="Only those of this key.")] = None,
    url: URLOption = None,
    api_key: KeyOption = None,
    as_json: JSONOption = False,
) -> None:
    """Delete the prefixes that are kept, or those of one key. What is needed is computed again.

    A running server keeps those that its settings pin.

    Example: `llm-api cache delete --key alice`
    """
    answer = (
        None if folder else _asked(url, api_key, lambda server: server.delete("/v1/cache", key=key))
    )
    deleted, size = (
        _deleted(_folder(folder), key) if answer is None else (answer["deleted"], answer["bytes"])
    )
    if as_json:
        print_json({"deleted": deleted, "bytes": size})
    else:
        note(f"{deleted} prefixes are deleted.")


def _asked(
    url: str | None, api_key: str | None, ask: "Callable[[ServerAPI], Awaitable[Any]]"
) -> Any:
    """What the server answers; None where none runs, and none was named."""
    from llm_api.cli.remote_server import open_server
    from llm_api.config.settings import load_settings
    from llm_api.core.errors import UnavailableError

    settings = load_settings()

    async def asking() -> Any:
        async with open_server(settings, url, api_key) as server:
            return await ask(server)

    try:
        return asyncio.run(asking())
    except UnavailableError:
        if url is not None:
            raise
        return None


def _deleted(folder: Path, key: str | None) -> tuple[int, int]:
    """How many files were deleted, and their bytes."""
    from llm_api.core.llm.prefix_cache import state_file
    from llm_api.core.llm.prefix_cache.stored import key_of

    if key is None:
        paths = state_file.files_of(folder)
    else:
        found = _found(folder)
        paths = [one.path for one in found if one.path and key_of(one.owner) == key]
    size = sum(path.lstat().st_size for path in paths)
    for path in paths:
        state_file.remove(path)
    return len(paths), size


def _folder(folder: Path | None) -> Path:
    """The folder that is meant. Raises BadParameter."""
    from llm_api.config.settings import load_settings

    path = load_settings(kv_cache_dir=folder).kv_cache_dir
    if path is None:
        raise typer.BadParameter(
            "no server runs: start one, or say which folder with --dir or KV_CACHE_DIR."
        )
    return path


def _found(folder: Path) -> "list[StoredPrefix]":
    """Those that can be read, the last used first."""
    from llm_api.core.llm.prefix_cache import state_file

    found = []
    for path in state_file.files_of(folder):
        try:
            found.append(state_file.read_head(path))
        except (state_file.StateFileError, OSError) as error:
            note(f"{path.name} is ignored: {error}")
    return sorted(found, key=lambda stored: stored.last_used, reverse=True)


def _of_file(stored: "StoredPrefix") -> dict[str, Any]:
    from llm_api.core.llm.prefix_cache.stored import key_of

    return {
        "key": None if stored.is_pinned else key_of(stored.owner) or None,
        "model": stored.fingerprint[:8],
        "tokens": len(stored.tokens),
        "bytes": stored.size,
        "retention": stored.retention,
        "pinned": stored.is_pinned,
        "where": ["disk"],
        "used": _date(stored.last_used),
    }


def _of_server(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": answer["key"],
        "model": answer["model"] or answer["fingerprint"][:8],
        "tokens": answer["tokens"],
        "bytes": answer["bytes"],
        "retention": answer["retention"],
        "pinned": answer["pinned"],
        "where": answer["tiers"],
        "used": _date(answer["last_used"]),
    }


def _date(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
