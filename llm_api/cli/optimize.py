"""`llm-api models optimize`: which quantisation of a model is fastest on this machine."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.progress import Progress, TaskID
from rich.prompt import Prompt

from llm_api.cli.optimize_auto import optimize_by_itself, progress_with_time
from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import copyable, note, notes, print_json, print_table, say

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.llm.files.gguf import GGUFModel
    from llm_api.core.llm.tuning.comparison import ComparedFile, Trial

EXAMPLES = """Examples:

- `llm-api models optimize`

- `llm-api models optimize ~/models/qwen.F16.gguf --types q4_0,q8_0,q4_k_m`

- `llm-api models optimize --types q4_0 --keep q4_0`

- `llm-api models optimize --auto`

- `llm-api models optimize --types q8_0 --keep q8_0 --json`
"""

CURRENT = "as it is"
_DEFAULT_TYPES = "q4_0,q8_0,q4_k_m"


@dataclass(frozen=True, slots=True)
class _Job:
    """What to make of `source`: a file of each of `types`, and which of them to `keep`, if said."""

    source: Path
    model: "GGUFModel"
    types: tuple[str, ...]
    keep: str | None
    folder: Path
    threads: int

    def target(self, type_name: str) -> Path:
        from llm_api.core.llm.tuning.quantise import quantised_name

        return self.folder / quantised_name(self.source.stem, type_name)


def optimize(  # noqa: PLR0913, PLR0917 - typer reads the options from the parameters
    model: Annotated[
        str | None, typer.Argument(help="A GGUF file, or a name that `models list` shows.")
    ] = None,
    types: Annotated[str, typer.Option(help="Quantisations to try.")] = _DEFAULT_TYPES,
    keep: Annotated[
        str | None, typer.Option(help="Keep the file of this type; no question.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="Measure the quality on this text, whole; better your own.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", help="Where files are written [MODELS_DIR/optimized]."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads [N_THREADS].")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measure each file so many times.")] = 5,
    auto: Annotated[
        bool,
        typer.Option("--auto", help="Keep what is faster and as good, to be served by itself."),
    ] = False,
    as_json: JSONOption = False,
) -> None:
    """Measure which quantisation of a model is fastest on this machine, and what it costs.

    Writes each candidate to a temporary file, and tells its speed and its perplexity (lower is
    better) beside those of the file as it is. A candidate is kept only where you say so, with
    --keep or when asked in a terminal; with --json nothing is asked. With --auto it measures Q8_0
    alone, and keeps it beside the file where it is faster at a perplexity of at most 0.5 % more;
    the server runs that from then on, unless WEIGHTS=original. Let nothing else run meanwhile.
    """
    from llm_api.config.chosen_models import choose_models
    from llm_api.config.settings import load_settings

    settings = load_settings(n_threads=threads)
    # Of several models the first, unless MODEL is said.
    if files := choose_models(settings).gguf:
        settings = files[0].settings
    elif model is None:
        raise typer.BadParameter("The chosen models run elsewhere; name a GGUF file.")
    if auto:
        with _ended_by_sigterm():
            optimize_by_itself(settings, _source(settings, model), as_json=as_json)
        return
    job = _job(settings, model, types, keep, folder)
    trial = _trial(job, text, rounds)
    _warn(job)
    with _folder(job.folder), _ended_by_sigterm(), ExitStack() as stack:
        written = _write(job, stack)
        results = _measure(job, written, trial, settings)
        if not as_json:
            _print(results, job, written)
        chosen = job.keep or (None if as_json else _ask(job))
        target = None if chosen is None else job.target(chosen)
        said = _for_programs(results, job, written, target)
        if chosen is not None and target is not None:
            written[chosen].replace(target)
    if as_json:
        print_json(said)
        return
    if target is None:
        note("Nothing is kept; --keep TYPE keeps that one.")
        return
    say(str(target))
    copyable(f"Serve it with: MODEL_PATH={shlex.quote(str(target))} llm-api serve")


def _job(
    settings: "Settings", model: str | None, types: str, keep: str | None, folder: Path | None
) -> _Job:
    """Raises InvalidRequestError and ModelFileError before anything is written."""
    from llm_api.core.errors import InvalidRequestError
    from llm_api.core.llm.files.parts import read_model
    from llm_api.core.llm.tuning.quantise import parse_type
    from llm_api.core.utils.machine import physical_cores

    source = _source(settings, model)
    read = read_model(source)
    kept = None if keep is None else parse_type(keep)
    wanted = [*map(parse_type, types.split(",")), *([kept] if kept else [])]
    chosen = tuple(dict.fromkeys(name for name in wanted if name != read.quantisation))
    if not chosen or kept == read.quantisation:
        raise InvalidRequestError(f"{source} is already {read.quantisation}.")
    job = _Job(
        source=source,
        model=read,
        types=chosen,
        keep=kept,
        folder=(folder or settings.models_dir / "optimized").expanduser(),
        threads=settings.n_threads or physical_cores(),
    )
    if kept and job.target(kept).exists():
        raise InvalidRequestError(f"{job.target(kept)} exists already; remove or move it first.")
    return job


def _source(settings: "Settings", model: str | None) -> Path:
    from llm_api.core.llm.files.installed import installed_models, resolve_model

    if model is None:
        path, _ = resolve_model(
            model_path=settings.model_path,
            repo_id=settings.model_repo_id,
            filename=settings.model_filename,
            models_dir=settings.models_dir,
        )
        return path
    named = {one.name: one.path for one in installed_models(settings.models_dir)}
    return named.get(model, Path(model).expanduser())


def _trial(job: _Job, text: Path | None, rounds: int) -> "Trial":
    from llm_api.core.errors import InvalidRequestError
    from llm_api.core.llm.tuning.comparison import Trial
    from llm_api.core.llm.tuning.measure import Workload, sample_text

    try:
        scored = sample_text() if text is None else text.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequestError(f"{text} cannot be read: {reason}.") from error
    return Trial(scored, Workload(job.threads), rounds)


def _warn(job: _Job) -> None:
    from llm_api.core.llm.tuning.quantise import UNROUNDED

    if job.model.quantisation not in UNROUNDED:
        note(
            f"{job.source.name} is rounded to {job.model.quantisation} already: what is made of it"
            " may be faster, never better. From an F16 or BF16 file less is lost."
        )


def _write(job: _Job, stack: ExitStack) -> dict[str, Path]:
    """Every candidate in a temporary file that `stack` removes, by type."""
    from llm_api.core.llm.tuning.quantise import (
        estimated_bytes,
        quantise,
        require_space,
        temporary_file,
    )

    sizes = {name: estimated_bytes(job.model, name) for name in job.types}
    require_space(job.folder, sum(sizes.values()))
    written = {}
    with progress_with_time() as progress:
        for name in job.types:
            path = stack.enter_context(temporary_file(job.target(name)))
            task = progress.add_task(f"write {name}", total=sizes[name])
            quantise(job.source, path, name, job.threads, partial(_show_written, progress, task))
            progress.update(task, total=1, completed=1)
            written[name] = path
    return written


def _show_written(progress: Progress, task: TaskID, size: int) -> None:
    progress.update(task, completed=size)


def _measure(
    job: _Job, written: dict[str, Path], trial: "Trial", settings: "Settings"
) -> "list[ComparedFile]":
    from llm_api.assembly.local_models import model_options
    from llm_api.core.llm.tuning.comparison import compare

    options = replace(model_options(settings), use_mlock=False)  # several files, one at a time
    with progress_with_time() as progress:
        task = progress.add_task("measure", total=None)

        def show(name: str, done: int, total: int) -> None:
            progress.update(task, description=f"measure {name}", completed=done, total=total)

        return compare([(CURRENT, job.source), *written.items()], trial, options, show)


def _print(results: "list[ComparedFile]", job: _Job, written: dict[str, Path]) -> None:
    from llm_api.core.llm.tuning.comparison import fastest
    from llm_api.core.utils.machine import format_bytes

    rows = []
    for result in results:
        is_current = result.name == CURRENT
        change = f"{result.perplexity_change:+.1%} ± {result.perplexity_error:.1%}"
        rows.append(
            (
                f"{job.model.quantisation}, {CURRENT}" if is_current else result.name,
                format_bytes(_size(result, job, written)),
                f"{result.speed.prefill:.0f} ({result.prefill_ratio:.2f}x)",
                f"{result.speed.decode:.1f} ({result.decode_ratio:.2f}x)",
                f"{result.perplexity:.2f}",
                "" if is_current else change,
            )
        )
    figures = ("size", "prefill tok/s", "decode tok/s", "perplexity", "change")
    print_table(("type", *figures), rows, numbers=figures)
    best = fastest(results)
    if best.name == CURRENT:
        verdict = f"None is faster than the file as it is ({job.model.quantisation})."
    else:
        verdict = (
            f"Fastest: {best.name}, {best.request_ratio:.1f} times as fast on a request of 256"
            f" tokens with an answer of 128; perplexity {best.perplexity_change:+.1%}."
        )
    say(verdict)


def _size(result: "ComparedFile", job: _Job, written: dict[str, Path]) -> int:
    path = written.get(result.name)
    return job.model.size_bytes if path is None else path.stat().st_size


def _for_programs(
    results: "list[ComparedFile]", job: _Job, written: dict[str, Path], kept: Path | None
) -> dict[str, object]:
    from llm_api.core.llm.tuning.comparison import fastest

    def named(result: "ComparedFile") -> str:
        return job.model.quantisation if result.name == CURRENT else result.name

    measured = [
        {
            **asdict(result),
            "name": named(result),
            "is_current": result.name == CURRENT,
            "size_bytes": _size(result, job, written),
        }
        for result in results
    ]
    return {
        "model": str(job.source),
        "measured": measured,
        "fastest": named(fastest(results)),
        "kept": None if kept is None else str(kept),
    }


def _ask(job: _Job) -> str | None:
    """The type to keep, typed by the person in the terminal; None in a pipe, or for none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    # A file that is there already is not replaced.
    by_answer = {name.lower(): name for name in job.types if not job.target(name).exists()}
    choices = [*by_answer, "none"]
    return by_answer.get(
        Prompt.ask("Keep which?", console=notes(), choices=choices, default="none")
    )


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the folder; remove it again if it was not there and stays empty."""
    from llm_api.core.errors import ModelFileError

    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFileError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        yield
    finally:
        for path in missing:
            if not any(path.iterdir()):
                path.rmdir()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that temporary files are removed."""

    def end(_number: int, _frame: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
