"""Where llama-cpp-python comes from: an index, what was compiled before, or its sources."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.setup.installer import Installer, SetupFailed
from scripts.setup.llama import OPTIONS, LlamaCpp, Recipe, read_recipe
from scripts.setup.progress import Screen
from tests.scripts.setup.fake_python import calls_of, make_python

CONSTRAINTS = Path("constraints.txt").read_text(encoding="utf-8")
RECIPE = Recipe(read_recipe(CONSTRAINTS, {}).requirement, "options", "a compiler", ())
VERSION = RECIPE.requirement.removeprefix("llama_cpp_python==")


def llama_cpp(folder: Path, recipe: Recipe = RECIPE, fails: str = "") -> LlamaCpp:
    screen = Screen(io.StringIO())
    installer = Installer(make_python(folder, fails), folder / "logs", screen)
    return LlamaCpp(recipe, installer, screen, folder / "build")


def verbs(folder: Path) -> list[str]:
    return [call[1] for call in calls_of(folder)]


def test_recipe_is_another_with_each_thing_that_a_wheel_depends_on() -> None:
    others = [
        replace(RECIPE, requirement="llama_cpp_python==2"),
        replace(RECIPE, options="others"),
        replace(RECIPE, compiler="another"),
        replace(RECIPE, variables=(("CMAKE_ARGS", "-DGGML_CUDA=on"),)),
    ]
    assert len({one.key for one in [RECIPE, *others]}) == 5
    assert replace(RECIPE).key == RECIPE.key


def test_recipe_is_read_from_the_pin_the_options_and_the_environment() -> None:
    recipe = read_recipe(CONSTRAINTS, {"CMAKE_ARGS": "-DGGML_CUDA=on", "HOME": "/", "CC": ""})
    assert recipe.requirement in CONSTRAINTS.splitlines()
    assert "LLAMA_BUILD_COMMON OFF" in recipe.options
    assert recipe.variables == (("CMAKE_ARGS", "-DGGML_CUDA=on"),)
    assert not recipe.is_kept


def test_a_compiled_wheel_serves_the_next_environment(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        llama_cpp(tmp_path / name).install("", tmp_path / "kept")
    assert verbs(tmp_path / "first") == ["download", "wheel", "install"]
    assert verbs(tmp_path / "second") == ["install"]
    assert not (tmp_path / "first" / "build" / RECIPE.key).exists()


@pytest.mark.parametrize(
    "unlike",
    [
        replace(RECIPE, variables=(("CMAKE_ARGS", "-DGGML_CUDA=on"),)),
        replace(RECIPE, compiler=""),
        replace(RECIPE, compiler="of another machine"),
    ],
)
def test_a_wheel_of_another_build_is_never_taken(tmp_path: Path, unlike: Recipe) -> None:
    for name in (RECIPE.key, unlike.key):
        (tmp_path / "kept" / name).mkdir(parents=True)
    kept = tmp_path / "kept" / RECIPE.key / "llama_cpp_python-1-py3-none-any.whl"
    kept.write_text("of another build", encoding="utf-8")
    llama_cpp(tmp_path, unlike).install("", tmp_path / "kept")
    assert verbs(tmp_path) == ["download", "wheel", "install"]
    assert str(kept) not in calls_of(tmp_path)[-1]


def test_what_cmake_args_ask_for_is_not_kept(tmp_path: Path) -> None:
    recipe = replace(RECIPE, variables=(("CMAKE_ARGS", "-DGGML_CUDA=on"),))
    llama_cpp(tmp_path, recipe).install("", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_what_was_interrupted_goes_on_with_the_same_sources(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"llama\.cpp\.log; .* goes on from here\.$"):
        llama_cpp(tmp_path, fails="pip wheel").install("", tmp_path / "kept")
    llama_cpp(tmp_path).install("", tmp_path / "kept")
    assert verbs(tmp_path) == ["download", "wheel", "wheel", "install"]
    first, second = (call for call in calls_of(tmp_path) if call[1] == "wheel")
    assert first == second


def test_sources_are_compiled_with_the_options_of_one_file(tmp_path: Path) -> None:
    llama_cpp(tmp_path).install("", tmp_path / "kept")
    include = f"--config-settings=cmake.define.CMAKE_PROJECT_INCLUDE={OPTIONS}"
    assert include in calls_of(tmp_path)[1]


def test_no_compiler_is_said_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    (tmp_path / "calls").touch()
    with pytest.raises(SetupFailed, match="apt-get install -y build-essential"):
        llama_cpp(tmp_path).install("", tmp_path / "kept")
    assert calls_of(tmp_path) == []


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an empty environment, with the installer that this machine has."""
    folder = tmp_path_factory.mktemp("environment")
    uv = Path(sys.executable).with_name("uv")
    without = ["--without-pip"] if uv.exists() else []
    subprocess.run([sys.executable, "-m", "venv", *without, folder], check=True)  # noqa: S603
    if uv.exists():
        (folder / "bin" / "uv").symlink_to(uv)
    return folder / "bin" / "python"


def make_index(folder: Path, version: str, library: bytes | None) -> str:
    """An index, as a folder, with one wheel: of the installed llama.cpp, or of a `library`."""
    project = folder / "llama-cpp-python"
    project.mkdir(parents=True)
    wheel = project / f"llama_cpp_python-{version}-py3-none-any.whl"
    metadata = f"llama_cpp_python-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llama_cpp/__init__.py", "")
        for path, content in installed_library() if library is None else [("libllama.so", library)]:
            archive.writestr(f"llama_cpp/lib/{path}", content)
        archive.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        said = f"Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: {version}\n"
        archive.writestr(f"{metadata}/METADATA", said)
        archive.writestr(f"{metadata}/RECORD", "")
    (project / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>', "utf-8")
    return folder.as_uri()


def installed_library() -> list[tuple[str, bytes]]:
    found = find_spec("llama_cpp")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0], "lib")
    return [(path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()]


class CompilingInstead(LlamaCpp):
    """Says that it would compile."""

    def _compile(self) -> Path:
        raise SetupFailed("compiled")


def from_index(folder: Path, python: Path, index: str, said: io.StringIO) -> None:
    screen = Screen(said)
    installer = Installer(python, folder / "logs", screen)
    installer.prepare()
    CompilingInstead(RECIPE, installer, screen, folder / "build").install(index, folder / "kept")


def test_a_wheel_of_the_named_index_is_taken(tmp_path: Path, environment: Path) -> None:
    index = make_index(tmp_path / "index", VERSION, None)
    from_index(tmp_path, environment, index, said := io.StringIO())
    assert "llama.cpp wheel: 0:" in said.getvalue()
    found = "import importlib.metadata as m; print(m.version('llama_cpp_python'))"
    done = subprocess.run([environment, "-c", found], capture_output=True, check=True)  # noqa: S603
    assert done.stdout.decode().strip() == VERSION


@pytest.mark.parametrize(
    ("version", "library", "reason"),
    [
        ("0.1", None, "LLAMA_WHEEL_INDEX has no wheel for this machine: compiling."),
        (VERSION, b"musl", "The wheel of LLAMA_WHEEL_INDEX does not load here: compiling."),
    ],
)
def test_sources_are_compiled_where_the_index_has_no_good_wheel(
    tmp_path: Path, environment: Path, version: str, library: bytes | None, reason: str
) -> None:
    index = make_index(tmp_path / "index", version, library)
    with pytest.raises(SetupFailed, match="compiled"):
        from_index(tmp_path, environment, index, said := io.StringIO())
    assert reason in said.getvalue().splitlines()
