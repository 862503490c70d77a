"""What a machine, a build of llama.cpp and a model mean together: findings, each with a change.

Pure: facts in, findings out. `llama_facts`, the model's header and `utils/machine` gather them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from llm_api.core.llm.files.memory import Need, Room, in_words
from llm_api.core.utils.machine import format_bytes

REBUILD: Final = "make clean && make setup"
REBUILD_FOR: Final = {
    "NVIDIA": 'make clean && CMAKE_ARGS="-DGGML_CUDA=on" make setup',
    "AMD": 'make clean && CMAKE_ARGS="-DGGML_VULKAN=on" make setup',
    "Apple": 'make clean && CMAKE_ARGS="-DGGML_METAL=on" make setup',
}
OPTIMIZE: Final = "llm-api models optimize --auto"

# llama.cpp's name of a feature: the kernel's names of what it needs, on x86 and on ARM.
FEATURE_FLAGS: Final = {
    "SSE3": {"pni"},
    "SSSE3": {"ssse3"},
    "AVX": {"avx"},
    "AVX2": {"avx2"},
    "F16C": {"f16c"},
    "FMA": {"fma"},
    "BMI2": {"bmi2"},
    "AVX_VNNI": {"avx_vnni"},
    "AVX512": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
    "AVX512_VBMI": {"avx512_vbmi", "avx512vbmi"},
    "AVX512_VNNI": {"avx512_vnni"},
    "AVX512_BF16": {"avx512_bf16"},
    "AMX_INT8": {"amx_int8", "amx_tile"},
    "NEON": {"asimd"},
    "FP16_VA": {"asimdhp"},
    "DOTPROD": {"asimddp"},
    "MATMUL_INT8": {"i8mm"},
    "SVE": {"sve"},
}

# Types with kernels of their own for prompts: repacked (ggml-cpu/repack.cpp) or llamafile's.
_FAST_ANYWHERE: Final = ("Q4_0", "Q4_K", "IQ4_NL", "MXFP4", "Q8_0", "Q5_0", "F16", "BF16", "F32")
_FAST_ON_ARM: Final = (*_FAST_ANYWHERE, "Q5_K", "Q6_K")

BUSY: Final = 0.5
"""Cores held by others from which on it is worth a line."""

_BY_USE: Final = ("context", "memory", "GPU", "threads", "load", "model", "CPU", "embedding")
"""Topics of hints by what following them brings."""

Level: TypeAlias = Literal["ok", "hint", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. A `problem` prevents serving; `change` is what to type, if anything."""

    topic: str
    level: Level
    text: str
    change: str | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """`cpu_flags` is None where the system does not tell, `cpu_quota` where there is none.

    `cores` are physical ones that this process may use, `busy_cores` those that others held just
    now; memory is in bytes, a container's.
    """

    cores: int
    total_memory: int
    available_memory: int
    cpu_flags: frozenset[str] | None = None
    cpu_quota: float | None = None
    gpu_vendors: frozenset[str] = frozenset()
    busy_cores: float = 0.0


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU that llama.cpp can use."""

    name: str
    description: str
    free_memory: int


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    cpu_features: frozenset[str]
    supports_gpu: bool = False
    gpus: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The configured model and the room the settings give it. `gpu_layers` -1 is all.

    `what_fits` are settings with which it fits the memory that is available. `told` is what was
    found out of the weights that are run instead of its own, if any are. `trained_length` is the
    context that it was made for. `unused` is what of its file is not used, and why.
    """

    name: str
    quantisation: str
    needed: Need
    room: Room
    what_fits: str
    uses_mmap: bool = True
    gpu_layers: int = -1
    told: str | None = None
    trained_length: int | None = None
    unused: str | None = None


def diagnose(
    machine: MachineFacts,
    library: LibraryFacts | None,
    models: Sequence[ModelFacts],
    threads: int | None,
) -> list[Finding]:
    """Everything worth a line. `threads` is the setting; without `library` less is said. Pure."""
    found = [] if library is None else [_instructions(machine, library)]
    found += _computing(machine, threads)
    if library is not None:
        found += _gpu(machine, library)
    for model in models:
        found.append(_memory(machine, library, model))
        found += _context(model)
        if model.unused is not None:
            found.append(Finding("model", "hint", f"{model.name}: {model.unused}"))
        if library is not None and not (library.gpus and model.gpu_layers):
            found.append(_quantisation(library, model))
    return found


def _instructions(machine: MachineFacts, library: LibraryFacts) -> Finding:
    used = sorted(library.cpu_features & FEATURE_FLAGS.keys())
    built = f"llama.cpp is built for {', '.join(used) or 'no extension'}"
    if machine.cpu_flags is None:
        return Finding("CPU", "ok", f"{built}; what this CPU has beyond that, the system hides")
    offered = {name for name, flags in FEATURE_FLAGS.items() if _offers(machine.cpu_flags, name)}
    if lacking := sorted(set(used) - offered):
        text = f"{built}, and this CPU lacks {', '.join(lacking)}: llama.cpp may crash"
        return Finding("CPU", "problem", text, REBUILD)
    if unused := sorted(offered - set(used) - {"AMX_INT8"}):
        return Finding("CPU", "hint", f"{built}; unused: {', '.join(unused)}", REBUILD)
    return Finding("CPU", "ok", f"{built}: all that this CPU has for it")


def _offers(flags: frozenset[str], feature: str) -> bool:
    needed = FEATURE_FLAGS[feature]
    # The kernel has spelt this one in two ways.
    return bool(needed & flags) if feature == "AVX512_VBMI" else needed <= flags


def _computing(machine: MachineFacts, threads: int | None) -> list[Finding]:
    """On threads and who else computes. Threads that spin for others are not called right."""
    found = [_threads(machine, threads)]
    if machine.busy_cores >= BUSY:
        load = _other_work(machine, threads)
        found = [load] if (found[0].level, load.level) == ("ok", "hint") else [*found, load]
    return found


def _threads(machine: MachineFacts, threads: int | None) -> Finding:
    used = threads or machine.cores
    said = f"{_count(used, 'thread')} on {_count(machine.cores, 'physical core')}"
    quota = machine.cpu_quota
    best = machine.cores if quota is None else max(1, min(machine.cores, math.floor(quota)))
    if quota is not None and used > best:
        text = f"{said}, but the container gets {quota:.3g} CPUs: all threads wait for the slowest"
        return Finding("threads", "hint", text, f"N_THREADS={best}")
    if used > machine.cores:
        text = f"{said}: more threads than cores wait for each other"
        return Finding("threads", "hint", text, f"N_THREADS={best}")
    if used < best:
        return Finding("threads", "hint", f"{said}: some cores stay idle", f"N_THREADS={best}")
    return Finding("threads", "ok", said)


def _other_work(machine: MachineFacts, threads: int | None) -> Finding:
    said = f"other work holds {machine.busy_cores:.1f} cores at this moment"
    if threads is None:
        text = f"{said}; on Linux fewer threads compute while cores are short"
        return Finding("load", "ok", text)
    if threads == 1:
        return Finding("load", "ok", said)
    text = f"{said}; with N_THREADS={threads}, no fewer threads compute: they spin for each other"
    return Finding("load", "hint", text, "unset N_THREADS")


def _gpu(machine: MachineFacts, library: LibraryFacts) -> list[Finding]:
    if library.gpus:
        return [
            Finding(
                "GPU", "ok", f"{gpu.name}: {gpu.description}, {format_bytes(gpu.free_memory)} free"
            )
            for gpu in library.gpus
        ]
    if library.supports_gpu:
        text = "llama.cpp is built for a GPU and finds none: look at the driver; serving on the CPU"
        return [Finding("GPU", "hint", text)]
    vendors = sorted(machine.gpu_vendors)
    if not vendors:
        text = "none found, and llama.cpp is built for the CPU alone"
        return [Finding("GPU", "ok", text)]
    return [
        Finding(
            "GPU",
            "hint",
            f"there is one of {vendor}, and llama.cpp is built for the CPU alone",
            REBUILD_FOR[vendor],
        )
        for vendor in vendors
    ]


def _memory(machine: MachineFacts, library: LibraryFacts | None, model: ModelFacts) -> Finding:
    needed = model.needed
    said = f"{model.name} needs {in_words(needed, model.room)};"
    if library is not None and library.gpus and model.gpu_layers:
        free = sum(gpu.free_memory for gpu in library.gpus)
        if needed.total > free:
            text = f"{said} the GPUs have {format_bytes(free)} free, so layers stay on the CPU"
            return Finding("memory", "hint", text, model.what_fits)
        return Finding("memory", "ok", f"{said} the GPUs have {format_bytes(free)} free")
    total, available = machine.total_memory, machine.available_memory
    said = f"{said} {format_bytes(available)} of {format_bytes(total)} are available"
    if not needed.fits(total, available, uses_mmap=model.uses_mmap):
        return Finding("memory", "problem", said, model.what_fits)
    if needed.total > available:
        return Finding("memory", "hint", f"{said}: end other programs, or save", model.what_fits)
    return Finding("memory", "ok", said)


def _context(model: ModelFacts) -> list[Finding]:
    """That more was asked for than the model can make use of."""
    trained, asked = model.trained_length, model.room.context_length
    if trained is None or asked <= trained:
        return []
    text = (
        f"{model.name}: a context of {asked} tokens, and the model was made for {trained}: beyond"
        " that it talks nonsense, and the room is taken all the same"
    )
    return [Finding("context", "hint", text, f"CONTEXT_LENGTH={trained}")]


def most_useful_first(findings: Sequence[Finding]) -> list[Finding]:
    """Problems, then hints: settings that are wrong before what would be faster. Pure."""
    order = {"problem": 0, "hint": 1, "ok": 2}
    topics = {topic: number for number, topic in enumerate(_BY_USE)}
    return sorted(findings, key=lambda one: (order[one.level], topics.get(one.topic, len(topics))))


def _quantisation(library: LibraryFacts, model: ModelFacts) -> Finding:
    if model.told is not None:
        text = f"{model.name}: the weights run are {model.quantisation}; {model.told}"
        return Finding("model", "ok", text)
    if has_fast_kernel(library.cpu_features, model.quantisation):
        text = f"{model.name}: {model.quantisation} has fast kernels for prompts here"
        return Finding("model", "ok", text)
    text = (
        f"{model.name}: {model.quantisation} has no fast kernel for prompts on this CPU;"
        " another quantisation, such as Q4_0 or Q8_0, may be several times as fast"
    )
    return Finding("model", "hint", text, OPTIMIZE)


def has_fast_kernel(cpu_features: frozenset[str], quantisation: str) -> bool:
    """Whether llama.cpp has a kernel of its own for prompts in this quantisation. Pure."""
    fast = _FAST_ON_ARM if "NEON" in cpu_features else _FAST_ANYWHERE
    return quantisation.startswith(fast)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
