from dataclasses import replace

import pytest

from llm_api.core.llm.files.memory import Need, Room
from llm_api.core.llm.tuning.doctor import (
    Device,
    Finding,
    LibraryFacts,
    MachineFacts,
    ModelFacts,
    diagnose,
    most_useful_first,
)

GB = 1_000_000_000
MACHINE = MachineFacts(
    cores=4, total_memory=16 * GB, available_memory=8 * GB, cpu_flags=frozenset({"avx", "avx2"})
)
LIBRARY = LibraryFacts(frozenset({"AVX", "AVX2", "REPACK", "OPENMP"}))
NEEDED = Need(2 * GB, 1_600_000_000, 300_000_000)
MODEL = ModelFacts("m", "Q4_0", NEEDED, Room(2000, 16_000, is_shared=False), "PARALLEL=1")


def of_size(size: int) -> ModelFacts:
    return replace(MODEL, needed=replace(NEEDED, weights=size))


GPU = Device("CUDA0", "A card", 10 * GB)
AVX512 = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})


def finding(
    topic: str,
    machine: MachineFacts = MACHINE,
    library: LibraryFacts | None = LIBRARY,
    model: ModelFacts = MODEL,
    threads: int | None = None,
) -> Finding:
    (found,) = [one for one in diagnose(machine, library, [model], threads) if one.topic == topic]
    return found


def test_a_machine_used_well_has_nothing_to_change() -> None:
    found = diagnose(MACHINE, LIBRARY, [MODEL], None)
    assert [one.topic for one in found] == ["CPU", "threads", "GPU", "memory", "model"]
    assert all(one.level == "ok" and one.change is None for one in found)


@pytest.mark.parametrize(
    ("flags", "features", "level", "says"),
    [
        (None, {"AVX2"}, "ok", "the system hides"),
        ({"avx", "avx2"}, {"AVX"}, "hint", "unused: AVX2"),
        ({"avx"}, {"AVX", "AVX2"}, "problem", "lacks AVX2"),
        ({"avx", *AVX512}, {"AVX"}, "hint", "unused: AVX512"),
        ({"avx", "avx512f"}, {"AVX"}, "ok", "all that this CPU has"),
        ({"avx512vbmi"}, {"AVX512_VBMI"}, "ok", "all that this CPU has"),
        ({"asimd", "asimddp", "i8mm"}, {"NEON", "DOTPROD"}, "hint", "unused: MATMUL_INT8"),
        ({"avx"}, {"AVX", "LLAMAFILE"}, "ok", "built for AVX:"),
    ],
)
def test_instruction_sets_of_build_and_cpu_are_compared(
    flags: set[str] | None, features: set[str], level: str, says: str
) -> None:
    machine = replace(MACHINE, cpu_flags=None if flags is None else frozenset(flags))
    found = finding("CPU", machine, LibraryFacts(frozenset(features)))
    assert found.level == level
    assert says in found.text
    assert (found.change is None) == (level == "ok")


@pytest.mark.parametrize(
    ("threads", "quota", "change"),
    [
        (None, None, None),
        (4, None, None),
        (8, None, "N_THREADS=4"),
        (2, None, "N_THREADS=4"),
        (None, 2.5, "N_THREADS=2"),
        (None, 0.5, "N_THREADS=1"),
        (None, 8.0, None),
        (2, 2.0, None),
        (1, 2.0, "N_THREADS=2"),
    ],
)
def test_threads_match_cores_and_quota(
    threads: int | None, quota: float | None, change: str | None
) -> None:
    found = finding("threads", replace(MACHINE, cpu_quota=quota), threads=threads)
    assert found.change == change
    assert found.level == ("ok" if change is None else "hint")


@pytest.mark.parametrize(
    ("threads", "level", "says", "change"),
    [
        (None, "ok", "fewer threads compute while cores are short", None),
        (1, "ok", "1.9 cores", None),
        (4, "hint", "with N_THREADS=4", "unset N_THREADS"),
    ],
)
def test_other_work_is_told_with_what_the_server_does_about_it(
    threads: int | None, level: str, says: str, change: str | None
) -> None:
    found = finding("load", replace(MACHINE, busy_cores=1.9), threads=threads)
    assert (found.level, found.change) == (level, change)
    assert says in found.text


@pytest.mark.parametrize(
    ("vendors", "library", "level", "change"),
    [
        (set(), LIBRARY, "ok", None),
        ({"NVIDIA"}, LIBRARY, "hint", 'make clean && CMAKE_ARGS="-DGGML_CUDA=on" make setup'),
        ({"Apple"}, LIBRARY, "hint", 'make clean && CMAKE_ARGS="-DGGML_METAL=on" make setup'),
        ({"NVIDIA"}, replace(LIBRARY, supports_gpu=True), "hint", None),
        ({"NVIDIA"}, replace(LIBRARY, supports_gpu=True, gpus=(GPU,)), "ok", None),
    ],
)
def test_a_gpu_that_the_build_does_not_use_is_named(
    vendors: set[str], library: LibraryFacts, level: str, change: str | None
) -> None:
    found = finding("GPU", replace(MACHINE, gpu_vendors=frozenset(vendors)), library)
    assert (found.level, found.change) == (level, change)


@pytest.mark.parametrize(
    ("size", "uses_mmap", "level", "change"),
    [
        (2 * GB, True, "ok", None),
        (7 * GB, True, "hint", "PARALLEL=1"),
        (7 * GB, False, "problem", "PARALLEL=1"),
        (20 * GB, True, "problem", "PARALLEL=1"),
    ],
)
def test_memory_is_compared_with_all_that_is_needed(
    size: int, uses_mmap: bool, level: str, change: str | None
) -> None:
    found = finding("memory", model=replace(of_size(size), uses_mmap=uses_mmap))
    assert (found.level, found.change) == (level, change)


def test_a_model_on_the_gpu_needs_the_memory_there() -> None:
    library = replace(LIBRARY, supports_gpu=True, gpus=(GPU,))
    small, large = of_size(1 * GB), of_size(30 * GB)
    assert finding("memory", library=library, model=small).level == "ok"
    assert finding("memory", library=library, model=large).level == "hint"
    on_cpu = replace(large, gpu_layers=0)
    assert finding("memory", library=library, model=on_cpu).level == "problem"


@pytest.mark.parametrize(
    ("quantisation", "features", "level"),
    [
        ("Q4_1", {"AVX2"}, "hint"),
        ("Q5_1", {"AVX2"}, "hint"),
        ("Q6_K", {"AVX2"}, "hint"),
        ("Q6_K", {"NEON"}, "ok"),
        ("Q4_0", {"AVX2"}, "ok"),
        ("Q4_K_M", {"AVX2"}, "ok"),
        ("Q8_0", {"AVX2"}, "ok"),
    ],
)
def test_a_quantisation_without_fast_kernels_is_named(
    quantisation: str, features: set[str], level: str
) -> None:
    library = LibraryFacts(frozenset(features))
    found = finding("model", library=library, model=replace(MODEL, quantisation=quantisation))
    assert found.level == level
    assert found.change == (None if level == "ok" else "llm-api models optimize --auto")


def test_what_is_not_known_is_left_out() -> None:
    assert [one.topic for one in diagnose(MACHINE, None, [], None)] == ["threads"]


def test_each_of_several_models_is_looked_at() -> None:
    large = replace(of_size(30 * GB), name="large")
    found = diagnose(MACHINE, LIBRARY, [MODEL, large], None)
    assert [one.level for one in found if one.topic == "memory"] == ["ok", "problem"]


def test_weights_that_are_run_instead_of_the_file_are_told() -> None:
    tuned = replace(MODEL, quantisation="Q8_0", told="Q8_0 reads prompts 2.25 times as fast here")
    found = finding("model", model=tuned)
    assert (found.level, found.change) == ("ok", None)
    assert "the weights run are Q8_0; Q8_0 reads prompts 2.25 times" in found.text


def test_threads_that_spin_for_others_are_not_called_right() -> None:
    busy = replace(MACHINE, busy_cores=2.0)
    found = diagnose(busy, LIBRARY, [MODEL], 4)
    assert "threads" not in {one.topic for one in found}
    (load,) = [one for one in found if one.topic == "load"]
    assert (load.level, load.change) == ("hint", "unset N_THREADS")
    assert {"threads", "load"} <= {one.topic for one in diagnose(busy, LIBRARY, [MODEL], None)}


def test_context_beyond_what_the_model_was_made_for_is_advised_against() -> None:
    absurd = replace(MODEL, trained_length=1000)
    assert finding("context", model=absurd).change == "CONTEXT_LENGTH=1000"
    assert "context" not in {one.topic for one in diagnose(MACHINE, LIBRARY, [MODEL], None)}


def test_what_of_a_file_is_not_used_is_told() -> None:
    found = diagnose(MACHINE, LIBRARY, [replace(MODEL, unused="the file has more")], None)
    assert [one.text for one in found if "the file has more" in one.text] == [
        "m: the file has more"
    ]


def test_problems_come_first_and_settings_before_speed() -> None:
    found = [
        Finding("CPU", "hint", "a"),
        Finding("model", "hint", "b"),
        Finding("embedding", "ok", "c"),
        Finding("context", "hint", "d"),
        Finding("memory", "problem", "e"),
    ]
    assert "".join(one.text for one in most_useful_first(found)) == "edbac"
