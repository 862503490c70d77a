"""`llm-api models search|pull`: what the hub has and what of it fits, and how it comes."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import copyable, note, print_json, print_table, say

if TYPE_CHECKING:
    from llm_api.core.llm.files.hub_names import HubName
    from llm_api.core.llm.files.hub_search import OfferedFile

EXAMPLES: Final = {
    "search": """Examples:

- `llm-api models search qwen3 4b`

- `llm-api models search smollm --limit 5 --json`
""",
    "pull": """Examples:

- `llm-api models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF`

- `llm-api models pull hf.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0`

- `llm-api models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF qwen2.5-0.5b-instruct-q4_k_m.gguf`

- `llm-api models pull "qwen3 4b" --dry-run`

- `llm-api models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --dry-run --json`
""",
}
_URL: Final = re.compile(
    r"https?://(?P<host>[^/]+)/(?P<repo>[^/]+/[^/]+)(?:/(?:resolve|blob)/[^/]+/(?P<file>[^?#]+))?/?"
    r"(?:[?#].*)?"
)
_CHOICES: Final = 9


def search(
    words: Annotated[list[str], typer.Argument(help="What its name has.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="So many at most.")] = 20,
    as_json: JSONOption = False,
) -> None:
    """Find repositories with GGUF files on the hub.

    The most fetched first. `HF_ENDPOINT` names another hub.
    """
    from llm_api.core.llm.files.hub_search import search_repositories

    found = search_repositories(" ".join(words), limit)
    if as_json:
        print_json(
            [{"id": one.repo_id, "downloads": one.downloads, "likes": one.likes} for one in found]
        )
    elif found:
        rows = ((one.repo_id, one.downloads, one.likes) for one in found)
        print_table(("repository", "downloads", "likes"), rows, numbers=("downloads", "likes"))
        copyable(f"Fetch one: llm-api models pull {found[0].repo_id}")
    else:
        note("The hub has no GGUF model of that name.")


def pull(
    model: Annotated[
        str,
        typer.Argument(help="owner/name, owner/name:Q4_K_M, a URL of the hub, or words to search."),
    ],
    file: Annotated[
        str | None, typer.Argument(help="A .gguf file in it; of a split model the first.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched.")] = False,
    as_json: JSONOption = False,
) -> None:
    """Fetch a model. An interrupted download goes on where it stopped when you pull again.

    Without a file, the files are listed with what fits this machine, and the usual quantisation
    that fits is taken. `HF_TOKEN` opens gated repositories, `HF_ENDPOINT` names another hub.
    """
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.files.download import pull_model
    from llm_api.core.utils.machine import format_bytes

    models_dir = load_settings().models_dir
    name = _named(model)
    filename = file or name.filename
    if filename is None:
        chosen = _chosen(name)
        filename = chosen.filename
        why = "the usual one of what fits" if name.quantisation is None else "as you said"
        note(f"{filename}, {format_bytes(chosen.size)}: {why}.")
    if dry_run:
        _tell(name.repo_id, filename, models_dir, as_json=as_json)
        return
    try:
        path = pull_model(name.repo_id, filename, models_dir)
    except KeyboardInterrupt:
        note("Interrupted. Pull again, and it goes on where it stopped.")
        raise
    if as_json:
        print_json({"path": str(path), "size_bytes": path.stat().st_size})
        return
    say(str(path))
    copyable(f"Serve it with: llm-api serve --model-path {shlex.quote(str(path))}")


def _named(text: str) -> "HubName":
    """Which repository is meant, found by its words if it must be. Raises LLMAPIError."""
    from llm_api.core.errors import InvalidRequestError
    from llm_api.core.llm.files.download import hub_endpoint
    from llm_api.core.llm.files.hub_names import HubName, to_hub_name

    if url := _URL.fullmatch(text):
        own = hub_endpoint(None).partition("://")[2]
        if url["host"] not in (own, "huggingface.co", "hf.co"):
            raise InvalidRequestError(f"{url['host']} is not the hub ({own}); see HF_ENDPOINT.")
        return HubName(url["repo"], url["file"])
    return to_hub_name(text) if "/" in text else HubName(_searched(text))


def _searched(words: str) -> str:
    """The repository that a person chooses, or the only one. Raises NotOnHubError."""
    from llm_api.core.errors import NotOnHubError
    from llm_api.core.llm.files.hub_search import search_repositories

    found = [one.repo_id for one in search_repositories(words, _CHOICES)]
    if not found:
        raise NotOnHubError(f"The hub has no GGUF model of the name {words!r}.")
    if len(found) == 1:
        return found[0]
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotOnHubError(f"Several are called so, name one: {', '.join(found)}.")
    for number, one in enumerate(found, 1):
        note(f"{number}  {one}")
    number = typer.prompt("Which", type=typer.IntRange(1, len(found)), default=1, err=True)  # type: ignore[attr-defined]
    return found[int(number) - 1]


def _chosen(name: "HubName") -> "OfferedFile":
    """The file of the named quantisation, or of the usual one that fits; tells of all."""
    from llm_api.core.llm.files.hub_names import choose_file
    from llm_api.core.llm.files.hub_search import fitness, offered_files, sensible_file
    from llm_api.core.utils.machine import format_bytes, memory

    files = offered_files(name.repo_id)
    total, available = memory()
    if name.quantisation is not None:
        wanted = choose_file(name.repo_id, [one.filename for one in files], name.quantisation)
        return next(one for one in files if one.filename == wanted)
    chosen = sensible_file(files, total)
    for one in files:
        mark = "→" if one is chosen else " "
        fits = fitness(one.size, total, available)
        note(f"{mark} {format_bytes(one.size):>8}  {fits:<9}  {one.filename}")
    return chosen


def _tell(repo_id: str, filename: str, models_dir: Path, *, as_json: bool) -> None:
    """What a pull would do."""
    from llm_api.core.llm.files.download import download_path, find_model
    from llm_api.core.utils.machine import format_bytes

    _, files = find_model(repo_id, filename, None, models_dir)
    missing = sum(0 if one.destination.exists() else one.size - one.arrived() for one in files)
    place = download_path(repo_id, filename, models_dir)
    total = sum(one.size for one in files)
    if as_json:
        said = {"repository": repo_id, "file": filename, "path": str(place)}
        print_json({**said, "size_bytes": total, "missing_bytes": missing})
        return
    size = format_bytes(total)
    left = f"{format_bytes(missing)} to fetch" if missing else "here already"
    say(f"{repo_id}/{filename}: {size}, {left}, to {place}")
