"""`llm-api cache`: see and delete the prefixes that servers have written to a folder.

The folder is looked at, not a server: what a running one has in its memory it shows in its metrics,
and a file that is gone it computes again.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_api.cli.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from llm_api.core.llm.prefix_cache.stored import StoredPrefix

FolderOption = Annotated[Path | None, typer.Option("--dir", help="The folder [KV_CACHE_DIR].")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def list_prefixes(folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show the prefixes on disk: whose they are, how long, how large, and when they were used.

    Example: `llm-api cache list --dir /var/cache/llm-api`
    """
    from llm_api.core.utils.machine import format_bytes

    found = _found(_folder(folder))
    if as_json:
        print_json([_as_json(stored) for stored in found])
        return
    print_table(
        ("key", "model", "tokens", "size", "used"),
        [
            (
                stored.owner.partition("#")[0] or "-",
                stored.fingerprint[:8],
                len(stored.tokens),
                format_bytes(stored.size),
                _date(stored),
            )
            for stored in found
        ],
        numbers=("tokens", "size"),
    )


def clear(
    folder: FolderOption = None,
    key: Annotated[str | None, typer.Option(help="Only those of this key.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the prefixes on disk, or those of one key. A running server computes them again.

    Example: `llm-api cache delete --key alice`
    """
    from llm_api.core.llm.prefix_cache import state_file

    where = _folder(folder)
    if key is None:
        paths = state_file.files_of(where)
    else:
        found = _found(where)
        paths = [one.path for one in found if one.path and one.owner.partition("#")[0] == key]
    size = sum(path.lstat().st_size for path in paths)
    for path in paths:
        state_file.remove(path)
    if as_json:
        print_json({"deleted": len(paths), "bytes": size})
    else:
        note(f"{len(paths)} prefixes are deleted from {where}.")


def _folder(folder: Path | None) -> Path:
    """The folder that is meant. Raises BadParameter."""
    from llm_api.config.settings import load_settings

    path = load_settings(kv_cache_dir=folder).kv_cache_dir
    if path is None:
        raise typer.BadParameter("say which folder with --dir, or set KV_CACHE_DIR.")
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


def _as_json(stored: "StoredPrefix") -> dict[str, object]:
    return {
        "key": stored.owner.partition("#")[0],
        "model": stored.fingerprint,
        "tokens": len(stored.tokens),
        "bytes": stored.size,
        "retention": stored.retention,
        "used": _date(stored),
        "path": str(stored.path),
    }


def _date(stored: "StoredPrefix") -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(stored.last_used, UTC).isoformat(timespec="seconds")
