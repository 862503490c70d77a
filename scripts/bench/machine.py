"""What the figures depend on: the machine and the versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from llm_api.core.utils.machine import physical_cores

PACKAGES = (
    *("llm_api", "llama_cpp_python", "numpy", "uvicorn", "fastapi", "starlette"),
    *("onnxruntime", "torch", "transformers", "sentence-transformers"),
)


def describe_machine() -> dict[str, object]:
    """Read now: `load_average` is that of the minute before."""
    machine: dict[str, object] = {
        "cpu": _cpu_model(),
        "physical_cores": physical_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(psutil.getloadavg()[0], 2),
    }
    return machine | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    """Name, family and the widest vectors. Of what is not Linux, what Python says."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    flags = set(fields.get("flags", "").split())
    widest = next((name for name in ("avx512_vnni", "avx512f", "avx2") if name in flags), "")
    return " ".join((fields.get("model name", platform.machine()), widest)).strip()
