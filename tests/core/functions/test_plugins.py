"""Plugins of every kind, good and broken, as files on disk and as an installed distribution."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.plugins import (
    Plugin,
    builtin_plugins,
    file_plugins,
    load_plugins,
    package_plugins,
)
from llm_api.core.functions.python_function import FunctionThreads
from llm_api.core.functions.registry import FunctionRegistry, function_registry
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.types import Origin

TIP = '''
from typing import Any, Dict
from llm_api.core.functions.registry import function_registry

@function_registry.register
def calculate_tip(bill_amount: float, tip_percentage: float = 15.0) -> Dict[str, Any]:
    """Calculate tip amount and total bill."""
    tip = bill_amount * tip_percentage / 100
    return {"tip": tip, "total": bill_amount + tip}
'''


def registering(*names: str) -> str:
    """The text of a file with functions of these names."""
    head = "from llm_api.core.functions.registry import function_registry\n"
    functions = (f"@function_registry.register\ndef {name}(): return __name__\n" for name in names)
    return head + "".join(functions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "functions"
    folder.mkdir()
    return folder


def load(
    plugins: Iterable[Plugin], registry: FunctionRegistry = function_registry
) -> FunctionCatalog:
    catalog = FunctionCatalog()
    load_plugins(plugins, registry, catalog, FunctionThreads())
    return catalog


def names(catalog: FunctionCatalog) -> list[str]:
    return [function.spec.name for function in catalog.functions()]


def problems(catalog: FunctionCatalog) -> list[str]:
    return [str(problem) for problem in catalog.problems()]


async def test_a_file_of_the_folder_brings_its_functions(folder: Path) -> None:
    (folder / "tips.py").write_text(TIP)
    catalog = load(file_plugins(folder))
    assert problems(catalog) == []
    [function] = catalog.functions()
    assert function.origin == Origin("file", "tips.py")
    assert function.spec.description == "Calculate tip amount and total bill."
    assert function.spec.parameters == {
        "type": "object",
        "properties": {
            "bill_amount": {"type": "number"},
            "tip_percentage": {"type": "number", "default": 15.0},
        },
        "required": ["bill_amount"],
        "additionalProperties": False,
    }
    result = await FunctionRunner(5, 1000).run(function, '{"bill_amount": 80}')
    assert json.loads(result.content) == {"tip": 12.0, "total": 92.0}


def test_files_are_read_in_their_order_and_those_with_an_underscore_are_not(folder: Path) -> None:
    for name in ("b.py", "a.py", "_c.py", "d.txt", "__init__.py"):
        (folder / name).write_text(registering(f"of_{name[0]}"))
    (folder / "e.py").mkdir()
    assert names(load(file_plugins(folder))) == ["of_a", "of_b"]


def test_a_file_may_postpone_its_annotations(folder: Path) -> None:
    (folder / "orders.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from pydantic import BaseModel\n"
        "from llm_api.core.functions.registry import function_registry\n"
        "@dataclass\n"
        "class Item:\n    name: str\n    parts: list[Item] | None = None\n"
        "class Order(BaseModel):\n    items: list[Item]\n"
        "@function_registry.register\n"
        "def order(order: Order, *, urgent: bool = False) -> Order: return order\n"
    )
    catalog = load(file_plugins(folder))
    assert problems(catalog) == []
    definitions = catalog.get("order").spec.parameters["$defs"]
    assert isinstance(definitions, dict)
    assert set(definitions) == {"Item", "Order"}


def test_files_of_one_name_do_not_know_each_other(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "same.py").write_text(registering(part))
    first, second = (load(file_plugins(tmp_path / part)) for part in ("one", "two"))
    assert (names(first), names(second)) == (["one"], ["two"])


def test_a_folder_can_be_loaded_again_after_a_change(folder: Path) -> None:
    (folder / "a.py").write_text(registering("before"))
    assert names(load(file_plugins(folder))) == ["before"]
    (folder / "a.py").write_text(registering("afterwards", "besides"))
    assert names(load(file_plugins(folder))) == ["afterwards", "besides"]


BROKEN = {
    "syntax.py": ("def f(:", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    "null.py": ("\0", "SyntaxError: source code"),
    "imports.py": (
        "import not_there_at_all",
        "ModuleNotFoundError: No module named 'not_there_at_all'",
    ),
    "raises.py": (
        "raise RuntimeError('no key in /home/ada/key.txt')",
        "RuntimeError: no key in [path]",
    ),
    "leaves.py": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "cancels.py": (
        "import asyncio; raise asyncio.CancelledError('x')",
        "CancelledError: x",
    ),
    "nothing.py": ("x = 1", "registers no function."),
    "relative.py": ("from . import tips", "No module named"),
    "variadic.py": (
        registering().strip() + "\n@function_registry.register\ndef f(*args): ...",
        "f: the parameter *args is variadic positional; a model passes arguments by name",
    ),
    "half.py": (registering("half") + "1 / 0", "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_problem_in_one_line_and_takes_nothing_down(
    folder: Path, name: str
) -> None:
    text, reason = BROKEN[name]
    (folder / name).write_text(text)
    (folder / "tips.py").write_text(TIP)
    catalog = load(file_plugins(folder))
    assert names(catalog) == ["calculate_tip"]
    [problem] = problems(catalog)
    assert problem.startswith(f"{name}: ")
    assert reason in problem
    assert "\n" not in problem
    assert str(folder) not in problem


def test_a_file_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (folder / "bytes.py").write_bytes(b"x = '\xff'")
    [problem] = problems(load(file_plugins(folder)))
    assert problem.startswith("bytes.py: SyntaxError: ")


def test_ctrl_c_while_a_plugin_is_imported_is_no_problem_of_the_plugin(folder: Path) -> None:
    (folder / "slow.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(file_plugins(folder))


def test_of_two_functions_of_one_name_the_first_stays(folder: Path) -> None:
    (folder / "a.py").write_text(registering("same"))
    (folder / "b.py").write_text(registering("same", "other", "other"))
    catalog = load(file_plugins(folder))
    assert [(f.spec.name, f.origin.name) for f in catalog.functions()] == [
        ("same", "a.py"),
        ("other", "b.py"),
    ]
    assert problems(catalog) == [
        "b.py: same is already taken by a.py, which stays.",
        "b.py: other is already taken by b.py, which stays.",
    ]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages are installed in. What is imported from it is forgotten again."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    known = set(sys.modules)
    with suppress(InterruptedError), function_registry.all_or_nothing():
        yield site
        raise InterruptedError
    for name in set(sys.modules) - known:
        del sys.modules[name]


def install(site: Path, distribution: str, entry_points: str, files: dict[str, str]) -> None:
    """What pip leaves behind of a distribution with these files and entry points."""
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[llm_api.functions]\n{entry_points}\n")


def test_an_installed_package_brings_its_functions(site: Path) -> None:
    install(
        site,
        "acme-tips",
        "tips = acme_tips.plugin",
        {
            "acme_tips/__init__.py": "",
            "acme_tips/plugin.py": f"import acme_tips.more\n{TIP}",
            "acme_tips/more.py": registering("more"),
        },
    )
    for _ in range(2):  # Python runs a module once, but there may be more than one catalog
        catalog = load(package_plugins())
        assert sorted(names(catalog)) == ["calculate_tip", "more"]
        assert {function.origin for function in catalog.functions()} == {
            Origin("package", "acme-tips")
        }
        assert problems(catalog) == []


def test_packages_are_read_in_their_order_and_a_broken_one_takes_nothing_down(site: Path) -> None:
    install(site, "zeta", "z = zeta", {"zeta.py": registering("same")})
    install(site, "acme", "a = acme\nb = acme.b", {"acme/__init__.py": "", "acme/b.py": "1 / 0"})
    install(site, "beta", "b = beta:nowhere", {"beta.py": registering("same")})
    install(site, "gone", "g = not_there_at_all", {})
    catalog = load(package_plugins())
    assert [(f.spec.name, f.origin.name) for f in catalog.functions()] == [("same", "zeta")]
    assert problems(catalog) == [
        "acme: registers no function.",
        "acme: ZeroDivisionError: division by zero",
        "beta: AttributeError: module 'beta' has no attribute 'nowhere'",
        "gone: ModuleNotFoundError: No module named 'not_there_at_all'",
    ]


def test_a_broken_installation_is_a_problem_and_takes_nothing_down(site: Path) -> None:
    install(site, "zeta", "z = zeta", {"zeta.py": registering("good")})
    install(site, "bad", "b = ?!", {})
    install(site, "nameless", "n = not_there_at_all", {})
    (site / "nameless-1.0.dist-info" / "METADATA").unlink()
    catalog = load(package_plugins())
    assert names(catalog) == ["good"]
    assert [problem.partition(":")[0] for problem in problems(catalog)] == ["bad", "n"]


def test_a_file_in_the_built_in_folder_brings_its_functions(site: Path) -> None:
    files = {
        "own/__init__.py": "",
        "own/tips.py": TIP,
        "own/_no.py": "1 / 0",
        "own/bad.py": "1 / 0",
    }
    install(site, "own", "", files)
    catalog = load(builtin_plugins("own"))
    assert [(f.spec.name, f.origin) for f in catalog.functions()] == [
        ("calculate_tip", Origin("built_in", "tips.py"))
    ]
    assert problems(catalog) == ["bad.py: ZeroDivisionError: division by zero"]


def test_the_built_in_functions_are_there() -> None:
    for _ in range(2):
        catalog = load(builtin_plugins())
        assert names(catalog) == [
            "get_weekday",
            "days_between",
            "add_to_date",
            "add_business_days",
            "business_days_between",
            "get_current_time",
            "convert_timezone",
        ]
        assert {function.origin.name for function in catalog.functions()} == {
            "dates.py",
            "time_zones.py",
        }
        assert problems(catalog) == []


def test_what_the_program_itself_registers_is_there_and_comes_last(folder: Path) -> None:
    registry = FunctionRegistry()

    def same() -> None: ...

    def own() -> None: ...

    registry.register(own)
    registry.register(same)
    plugin = Plugin(Origin("file", "x.py"), "x", lambda: registry.register(_of_module("x", "same")))
    catalog = load([plugin], registry)
    assert [(f.spec.name, f.origin) for f in catalog.functions()] == [
        ("same", Origin("file", "x.py")),
        ("own", Origin("program", __name__)),
    ]
    assert problems(catalog) == [f"{__name__}: same is already taken by x.py, which stays."]


def _of_module(module: str, name: str) -> Callable[[], None]:
    def function() -> None: ...

    function.__module__, function.__name__ = module, name
    return function
