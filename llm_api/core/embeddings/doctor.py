"""What the embedding settings need and what this machine has of it: one finding."""

from importlib.metadata import PackageNotFoundError, version

from llm_api.core.embeddings.model_files import DEFAULT_NAME, model_folder
from llm_api.core.embeddings.vectors import computes_in_bfloat16
from llm_api.core.llm.tuning.doctor import Finding

INSTALL = "make embeddings, or pip install 'llm_api[embeddings]'"
_PACKAGES = ("torch", "sentence-transformers")


def diagnose_onnx(name: str) -> Finding:
    """Whether the model is here, and what computes it. Imports nothing of it."""
    if name == DEFAULT_NAME and model_folder(name) is None:
        text = f"{name} is not installed: its first request fetches it from Hugging Face"
        return Finding("embedding", "hint", text, "make setup")
    return Finding("embedding", "ok", f"{name} on onnxruntime {_version('onnxruntime')}, float32")


def diagnose_sentence_transformers(name: str, cpu_flags: frozenset[str] | None) -> Finding:
    """Whether the packages and the model are here. Imports none of them."""
    versions = {package: _version(package) for package in _PACKAGES}
    if absent := [package for package, found in versions.items() if found is None]:
        text = f"{name} needs {' and '.join(absent)}: embeddings are answered 503"
        return Finding("embedding", "hint", text, INSTALL)
    arithmetic = "bfloat16" if computes_in_bfloat16(cpu_flags) else "float32"
    text = f"{name} on torch {versions['torch']}; fastest arithmetic of this CPU: {arithmetic}"
    return Finding("embedding", "ok", text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
