"""`llm-api models optimize --auto`: faster weights of the same quality, kept without asking.

What `make setup` runs for the model that is configured. Measures once for a machine, a build of
llama.cpp and a file; later runs say what was found then.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from llm_api.cli.terminal import note, notes, print_json, say
from llm_api.core.llm.files.tuned import (
    TunedRecord,
    describe,
    is_current,
    keep_tuned,
    machine_kind,
    read_record,
    tuned_folder,
)

if TYPE_CHECKING:
    from llm_api.config.settings import Settings
    from llm_api.core.llm.files.gguf import GGUFModel
    from llm_api.core.llm.tuning.comparison import ComparedFile

CANDIDATE: Final = "Q8_0"
"""It has fast kernels on every CPU and loses next to nothing: what has fewer bits loses more."""

ROUNDS: Final = 3
MOST_SECONDS: Final = 120.0


class OutOfTimeError(Exception):
    """It takes longer than anybody should wait for it unasked."""


@dataclass(frozen=True, slots=True)
class Original:
    path: Path
    model: "GGUFModel"
    threads: int


class Measure(Protocol):
    """Writes the candidate to a file, and measures it against the original."""

    def __call__(
        self, settings: "Settings", original: "Original", written: Path
    ) -> "list[ComparedFile]":
        """The results, the original's first. Raises OutOfTimeError."""
        ...


def optimize_by_itself(
    settings: "Settings", source: Path, measure: Measure | None = None, *, as_json: bool = False
) -> None:
    """Keep what is faster and as good, and say so in one line. Blocks for half a minute or so.

    Raises ModelFileError where the file cannot be read, or something cannot be written.
    """
    from llm_api.core.llm.files.parts import read_model
    from llm_api.core.utils.machine import physical_cores

    original = Original(source, read_model(source), settings.n_threads or physical_cores())
    said = _why_nothing(settings, original)
    if said is None:
        with _no_empty_folders(tuned_folder(source, settings.models_dir)):
            said = _found(settings, original, measure or _measured)
    if as_json:
        print_json({"model": str(source), "said": said})
    else:
        say(f"{source.stem}: {said}")


@contextmanager
def _no_empty_folders(folder: Path) -> Iterator[None]:
    """Take away again the folders that were made for nothing."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _why_nothing(settings: "Settings", original: Original) -> str | None:
    from llm_api.core.llm.tuning.doctor import has_fast_kernel
    from llm_api.core.llm.tuning.llama_facts import library_facts

    if settings.weights == "original":
        return "WEIGHTS=original: it is run as it is"
    facts = library_facts()
    if facts.gpus and settings.gpu_layers:
        return "a GPU computes it: it is run as it is"
    if has_fast_kernel(facts.cpu_features, original.model.quantisation):
        return f"{original.model.quantisation} has fast kernels here: it is run as it is"
    if original.model.split_count > 1:
        return "it is in several parts: it is run as it is"
    return None


def _found(settings: "Settings", original: Original, measure: Measure) -> str:
    from llm_api.core.llm.tuning.choice import as_good_and_faster, in_a_line
    from llm_api.core.llm.tuning.quantise import quantised_name, temporary_file

    source, models_dir, library = original.path, settings.models_dir, version("llama_cpp_python")
    known = read_record(source, models_dir)
    if known is not None and is_current(known, source, models_dir, library):
        return known.told
    folder = tuned_folder(source, models_dir)
    folder.mkdir(parents=True, exist_ok=True)
    name = quantised_name(source.stem, CANDIDATE)
    with temporary_file(folder / name) as written:
        try:
            results = measure(settings, original, written)
        except OutOfTimeError:
            return f"not measured within {MOST_SECONDS:.0f} seconds: it is run as it is"
        told = in_a_line(results, original.model.quantisation)
        record = TunedRecord(describe(source), machine_kind(), library, told)
        is_taken = as_good_and_faster(results) is not None
        if is_taken:
            record = replace(record, file=name, size=written.stat().st_size)
        keep_tuned(source, models_dir, record, written if is_taken else None)
    return told


def _measured(settings: "Settings", original: Original, written: Path) -> "list[ComparedFile]":
    """Write the candidate and measure it against the original. Raises OutOfTimeError."""
    from llm_api.assembly.local_models import model_options
    from llm_api.core.llm.tuning.comparison import Trial, compare
    from llm_api.core.llm.tuning.measure import Workload, sample_text
    from llm_api.core.llm.tuning.quantise import estimated_bytes, quantise, require_space

    size = estimated_bytes(original.model, CANDIDATE)
    require_space(written.parent, size)
    note(
        f"Looking for faster weights of {original.path.stem}, once for this machine, about half a"
        " minute (WEIGHTS=original leaves that out)."
    )
    until = time.monotonic() + MOST_SECONDS
    with progress_with_time() as progress:
        task = progress.add_task(f"write {CANDIDATE}", total=size)
        show = partial(_show_written, progress, task, until)
        quantise(original.path, written, CANDIDATE, original.threads, show)
        progress.remove_task(task)
        task = progress.add_task("measure", total=None)
        trial = Trial(sample_text(), Workload(original.threads), ROUNDS)
        options = replace(model_options(settings), use_mlock=False)
        files = [("as it is", original.path), (CANDIDATE, written)]
        return compare(files, trial, options, partial(_show_measured, progress, task, until))


def progress_with_time() -> Progress:
    """A bar with what is done in percent, and the time that is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=notes(), transient=True, expand=True)


def _show_written(progress: Progress, task: TaskID, until: float, size: int) -> None:
    _check_time(until)
    progress.update(task, completed=size)


def _show_measured(
    progress: Progress, task: TaskID, until: float, name: str, done: int, total: int
) -> None:
    _check_time(until)
    progress.update(task, description=f"measure {name}", completed=done, total=total)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise OutOfTimeError
