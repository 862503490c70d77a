"""`llm-api doctor`: what this machine and this build can do, and what to change for more."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from llm_api.cli.options import JSONOption
from llm_api.cli.terminal import between_words, output, print_json

if TYPE_CHECKING:
    from llm_api.config.chosen_models import ChosenModel
    from llm_api.config.settings import Settings
    from llm_api.core.llm.tuning.doctor import Finding, LibraryFacts, MachineFacts, ModelFacts

EXAMPLES = """Examples:

- `llm-api doctor`

- `MODEL_PATH=big.gguf CONTEXT_LENGTH=8192 llm-api doctor`

- `llm-api doctor --json`
"""

_STYLES = {"ok": "green", "hint": "yellow", "problem": "bold red"}


def doctor(
    model_path: Annotated[
        Path | None, typer.Option("--model-path", "-m", help="Look at this GGUF file [MODEL_PATH].")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of several models [CONFIG_FILE].")
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """Say what llama.cpp uses of this machine, whether the model fits, and what to change.

    Each line is a problem that prevents serving (the exit code is then 1), a hint with the exact
    change to make, or ok: the most useful first. Nothing is loaded, fetched or changed.
    """
    from llm_api.config.chosen_models import choose_models
    from llm_api.config.settings import load_settings
    from llm_api.core.llm.tuning.doctor import Finding, diagnose, most_useful_first

    settings = load_settings(model_path=model_path, config_file=config)
    chosen = choose_models(settings)
    found: list[Finding] = []
    if chosen.gguf:
        library, broken = _library()
        examined = [_examine(one.settings, library is not None) for one in chosen.gguf]
        models = [one for one in examined if not isinstance(one, Finding)]
        found += [broken] if broken else []
        found += diagnose(_machine(), library, models, settings.n_threads)
        found += [one for one in examined if isinstance(one, Finding)]
    found += [_elsewhere(one) for one in chosen.models if one not in chosen.gguf]
    embedding = _embedding(settings)
    found = most_useful_first([*found, embedding] if embedding else found)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        _print(found)
    if any(finding.level == "problem" for finding in found):
        sys.exit(1)


def _elsewhere(model: "ChosenModel") -> "Finding":
    from urllib.parse import urlsplit

    from llm_api.core.llm.tuning.doctor import Finding

    backend = model.backend
    hosts = ", ".join(urlsplit(one.url).netloc.rpartition("@")[2] for one in backend.replicas)
    where = f" at {hosts}, which is not asked here" if hosts else ", in this process"
    return Finding("model", "ok", f"{model.name} is answered by {backend.kind}{where}")


def _machine() -> "MachineFacts":
    from llm_api.core.llm.tuning.doctor import MachineFacts
    from llm_api.core.utils.machine import (
        busy_cores,
        cpu_flags,
        cpu_quota,
        gpu_vendors,
        memory,
        physical_cores,
    )

    total, available = memory()
    return MachineFacts(
        physical_cores(),
        total,
        available,
        cpu_flags(),
        cpu_quota(),
        gpu_vendors(),
        busy_cores(),
    )


def _library() -> "tuple[LibraryFacts | None, Finding | None]":
    from llm_api.core.llm.tuning.doctor import REBUILD, Finding

    try:
        from llm_api.core.llm.tuning.llama_facts import library_facts

        return library_facts(), None
    except (ImportError, OSError, RuntimeError) as error:
        return None, Finding("llama.cpp", "problem", f"cannot be loaded: {error}", REBUILD)


def _examine(settings: "Settings", has_library: bool) -> "ModelFacts | Finding":
    from llm_api.assembly.local_models import wishes_of
    from llm_api.core.errors import LLMAPIError
    from llm_api.core.llm.files.gguf import MTP_UNUSED
    from llm_api.core.llm.files.installed import model_location
    from llm_api.core.llm.files.memory import choose_room, need, what_fits
    from llm_api.core.llm.files.parts import read_model
    from llm_api.core.llm.files.tuned import find_tuned
    from llm_api.core.llm.tuning.doctor import Finding, ModelFacts
    from llm_api.core.utils.machine import memory

    try:
        path = model_location(
            model_path=settings.model_path,
            repo_id=settings.model_repo_id,
            filename=settings.model_filename,
            models_dir=settings.models_dir,
        )
        if settings.model_repo_id and not path.exists():
            change = f"llm-api models pull {settings.model_repo_id} {settings.model_filename}"
            return Finding("model", "hint", f"{path} is fetched at the start", change)
        read = read_model(path)
        draft = None if settings.draft_model is None else read_model(settings.draft_model)
        if has_library:
            from llm_api.core.llm.engine.llama_model import check_known

            for one in (path, settings.draft_model):
                if one is not None:
                    check_known(one)
    except LLMAPIError as error:
        return Finding("model", "problem", error.message)
    tuned = find_tuned(path, settings.models_dir) if settings.weights == "fastest" else None
    read = read if tuned is None else read_model(tuned[0])
    wishes, (_, available) = wishes_of(settings), memory()
    room = choose_room(read, wishes, available - (draft.size_bytes if draft else 0))
    needed = need(read, room, settings.kv_cache_type, draft)
    return ModelFacts(
        name=path.stem,
        quantisation=read.quantisation,
        needed=needed,
        room=room,
        what_fits=what_fits(read, wishes, available - needed.draft),
        uses_mmap=settings.mmap,
        gpu_layers=settings.gpu_layers,
        told=None if tuned is None else tuned[1].told,
        trained_length=read.context_length,
        unused=MTP_UNUSED if settings.mtp and draft is None and read.has_unused_mtp else None,
    )


def _embedding(settings: "Settings") -> "Finding | None":
    from llm_api.assembly.embedders import embedder_kind
    from llm_api.core.embeddings.doctor import diagnose_onnx, diagnose_sentence_transformers
    from llm_api.core.utils.machine import cpu_flags

    name = settings.embedding_model_name
    match embedder_kind(settings):
        case "onnx":
            return diagnose_onnx(name)
        case "sentence_transformers":
            return diagnose_sentence_transformers(name, cpu_flags())
        case _:
            return None


def _print(findings: "list[Finding]") -> None:
    console = output()
    for finding in findings:
        change = f"; change: {finding.change}" if finding.change else ""
        said = f"{finding.level:<8}{finding.topic:<10}{' '.join(finding.text.split())}{change}"
        line = Text(between_words(console, said, " " * 18))
        line.stylize(_STYLES[finding.level], 0, 8)
        line.stylize("bold", 8, 18)
        console.print(line, soft_wrap=True)
