"""What this build of llama.cpp is: its kernels for the CPU, and the GPUs that it finds."""

import ctypes
from typing import Any

from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.tuning.doctor import Device, LibraryFacts

_GPU_TYPES = (1, 2)  # ggml_backend_dev_type: GPU, IGPU


def library_facts() -> LibraryFacts:
    """Blocks for some 0.3 s. Raises what the import raises where llama.cpp is not usable."""
    library = load_library()
    system: bytes = library.llama_print_system_info()
    return LibraryFacts(
        cpu_features=parse_cpu_features(system.decode("utf-8", "replace")),
        supports_gpu=bool(library.llama_supports_gpu_offload()),
        gpus=tuple(_gpus(library._lib)),
    )


def parse_cpu_features(system_info: str) -> frozenset[str]:
    """The CPU's part of `NAME : FEATURE = 1 | ... NAME : ...`. Pure."""
    features = set()
    backend = ""
    for part in system_info.split("|"):
        *names, setting = part.split(" : ")
        backend = names[-1].strip() if names else backend
        feature, _, value = setting.partition("=")
        if backend == "CPU" and value.strip() not in ("", "0"):
            features.add(feature.strip())
    return frozenset(features)


def _gpus(ggml: Any) -> list[Device]:
    """The GPUs that the linked backends find. The bindings leave these functions out."""
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_memory.argtypes = [
        ctypes.c_void_p,
        *[ctypes.POINTER(ctypes.c_size_t)] * 2,
    ]
    for function in (ggml.ggml_backend_dev_name, ggml.ggml_backend_dev_description):
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    devices = [ggml.ggml_backend_dev_get(index) for index in range(ggml.ggml_backend_dev_count())]
    return [_device(ggml, one) for one in devices if ggml.ggml_backend_dev_type(one) in _GPU_TYPES]


def _device(ggml: Any, device: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    name: bytes = ggml.ggml_backend_dev_name(device)
    description: bytes = ggml.ggml_backend_dev_description(device)
    return Device(name.decode(), description.decode("utf-8", "replace"), free.value)
