"""What this build of llama.cpp is, and what one model asks of it, without loading the weights."""

import ctypes
from pathlib import Path
from typing import Any

from llm_api.core.errors import ModelFileError
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


def kv_bytes_per_token(path: Path) -> int:
    """Bytes one token takes in an f16 KV buffer, at most: recurrent and sliding layers count full.

    Reads the header. Raises ModelFileError where llama.cpp does not know the model.
    """
    library = load_library()
    params = library.llama_model_default_params()
    params.no_alloc = True
    params.n_gpu_layers = 0
    params.load_mode = library.LLAMA_LOAD_MODE_NONE
    model = library.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise ModelFileError(
            f"llama.cpp cannot load {path}: the file is damaged, or of an architecture that"
            " this version does not know."
        )
    try:
        return _kv_bytes_per_token(library, model)
    finally:
        library.llama_model_free(model)


def _kv_bytes_per_token(library: Any, model: Any) -> int:
    heads = library.llama_model_n_head(model)
    if not heads:
        return 0
    architecture = _meta(library, model, "general.architecture")
    head_size = library.llama_model_n_embd(model) // heads
    sizes = [
        int(_meta(library, model, f"{architecture}.attention.{name}") or head_size)
        for name in ("key_length", "value_length")
    ]
    layers, kv_heads = library.llama_model_n_layer(model), library.llama_model_n_head_kv(model)
    return int(layers * kv_heads * sum(sizes) * 2)


def _meta(library: Any, model: Any, key: str) -> str:
    buffer = ctypes.create_string_buffer(128)
    length = library.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if length > 0 else ""


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
