"""The figures of a small package are counted as a person counts them."""

from pathlib import Path

from scripts.structure import JOURNEY, edges, imported_names, read_modules, recurring, report

FILES = {
    "__init__.py": "",
    "main.py": "import llm_api.api.routes.chat\nfrom llm_api.core.llm import backend\n"
    + 40 * "x = 1\n",
    "api/__init__.py": "from llm_api import core",
    "api/answers.py": "",
    "api/routes/chat.py": "def f():\n    import llm_api.api.answers\n",
    "core/llm/backend.py": "import_module('llm_api.core.llm.engine.scheduler')",
    "core/llm/engine/scheduler.py": "from llm_api.core.llm import engine",
    "core/llm/engine/chat.py": "",
}


def package(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / "llm_api" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "llm_api"


def test_edges_are_those_between_siblings_wherever_the_import_stands(tmp_path: Path) -> None:
    modules = read_modules(package(tmp_path))
    assert edges(modules, "llm_api") == {"main": {"api", "core"}, "api": {"core"}, "core": set()}
    assert edges(modules, "llm_api.core.llm") == {"backend": {"engine"}, "engine": set()}
    assert "llm_api.api.answers" in imported_names(modules["llm_api.api.routes.chat"])


def test_names_recur_by_their_last_part() -> None:
    assert recurring(["a.chat", "b.chat", "c.chat.d"]) == {"chat": 2}


def test_the_report_counts_modules_and_leaves_packages_aside(tmp_path: Path) -> None:
    lines = list(report(package(tmp_path)))
    assert lines[:2] == ["modules: 6", "modules under 40 lines: 5"]
    assert "llm_api: 2 packages, 1 modules, 3 import edges" in lines
    assert lines[-1].startswith(f"one chat request: {len(JOURNEY)} files, 46 lines (main.py 42, ")
