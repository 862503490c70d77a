"""The structure of the package in figures: `python -m scripts.structure [CHECKOUT]`.

Reads source text and imports nothing, so it can also be pointed at a checkout of another commit.
Imports inside functions and under `TYPE_CHECKING` count as well. Who may import whom is a law of
`tests/test_architecture.py`, which reads modules with the functions of this one.
"""

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = "llm_api"
SMALL_LINES: Final = 40
"""A module with fewer lines is small: it should have a reason that one can say."""
EDGES_SHOWN: Final = ("llm_api", "llm_api.core", "llm_api.core.llm")
JOURNEY: Final = (
    "main.py",
    "api/routes/chat.py",
    "api/answers.py",
    "core/llm/backend.py",
    "core/llm/engine/scheduler.py",
)
"""The files that a newcomer reads to explain one chat request."""


def read_modules(source: Path) -> dict[str, ast.Module]:
    """Dotted name -> syntax tree of every module under a package folder."""
    return {
        module_name(source, path): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(source.rglob("*.py"))
    }


def module_name(source: Path, path: Path) -> str:
    """The dotted name of a file under a package folder; that of a package for `__init__.py`."""
    parts = path.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Every absolute dotted name a module imports: `from a import b` yields `a` and `a.b`.

    Covers `import_module("a")` and `__import__("a")` where the name is written out; not names
    that are computed.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                yield "."
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module
            case _:
                pass


def child_of(package: str, name: str) -> str | None:
    """The direct child of a package that a name is, or is below."""
    below = name.removeprefix(f"{package}.")
    return None if below == name else below.split(".")[0]


def edges(modules: Mapping[str, ast.Module], package: str) -> dict[str, set[str]]:
    """The direct children of a package, each with the siblings that it imports. Pure."""
    found: dict[str, set[str]] = {
        child: set() for name in modules if (child := child_of(package, name)) is not None
    }
    for name, tree in modules.items():
        child = child_of(package, name)
        if child is not None:
            imported = {child_of(package, one) for one in imported_names(tree)}
            found[child] |= {one for one in found.keys() - {child} if one in imported}
    return found


def recurring(names: Iterable[str]) -> Counter[str]:
    """The last parts that several dotted names have, each with how many have it. Pure."""
    counts = Counter(name.rpartition(".")[2] for name in names)
    return Counter({name: count for name, count in counts.items() if count > 1})


def report(source: Path) -> Iterator[str]:
    """One line for each figure of the package in this folder."""
    trees = read_modules(source)
    lines = {
        module_name(source, path): len(path.read_text(encoding="utf-8").splitlines())
        for path in source.rglob("*.py")
        if path.name != "__init__.py"
    }
    small = sum(count < SMALL_LINES for count in lines.values())
    names = recurring(lines)
    yield f"modules: {len(lines)}"
    yield f"modules under {SMALL_LINES} lines: {small}"
    most = ", ".join(f"{name} {count}" for name, count in names.most_common(8))
    yield f"modules that share their name: {names.total()} ({most}, ...)"
    for package in EDGES_SHOWN:
        found = edges(trees, package)
        loose = sum(f"{package}.{child}" in lines for child in found)
        count = sum(map(len, found.values()))
        yield f"{package}: {len(found) - loose} packages, {loose} modules, {count} import edges"
    journey = {name: len((source / name).read_text("utf-8").splitlines()) for name in JOURNEY}
    listed = ", ".join(f"{name} {count}" for name, count in journey.items())
    yield f"one chat request: {len(journey)} files, {sum(journey.values())} lines ({listed})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, nargs="?", default=Path(__file__).parent.parent)
    for line in report(parser.parse_args().checkout / PACKAGE):
        print(line)


if __name__ == "__main__":
    main()
