"""The laws of imports and of types' names.

Which way imports run, which module may open a heavy library, no cycles; one idea to a type's name.

Looks at source text only, so imports inside functions and under `TYPE_CHECKING` count as well.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from scripts.structure import PACKAGE, child_of, edges, imported_names, read_modules, recurring

SOURCE: Final = Path(__file__).parent.parent / PACKAGE

# What each child of a package may import of its siblings. Every child has a line.
ARROWS: Final[Mapping[str, Mapping[str, str]]] = {
    "llm_api": {
        "__main__": "cli",
        "cli": "main assembly config core",
        "main": "assembly api config core server workers",
        "assembly": "api config core",
        "workers": "core server",
        "server": "core",
        "api": "core",
        "config": "core",
        "core": "",
    },
    "llm_api.core": {
        "function_loop": "functions llm",
        "access": "embeddings errors llm utils",
        "rag": "embeddings errors llm utils",
        "embeddings": "errors llm upstream utils",
        "llm": "errors upstream utils",
        "functions": "errors utils",
        "upstream": "errors",
        "utils": "errors",
        "errors": "",
    },
    "llm_api.core.llm": {
        "residency": "gateway backend observation types",
        "gateway": "output prompt backend capabilities collect observation types",
        "backends": "engine output prompt backend capabilities collect observation types",
        "tuning": "engine files",
        "engine": "output observation types",
        "prompt": "output types",
        "output": "types",
        "files": "",
        "choices": "backend types",
        "collect": "choices types",
        "backend": "capabilities files observation types",
        "capabilities": "types",
        "observation": "",
        "types": "",
    },
    "llm_api.assembly": {
        "services": "embedders functions models plan retrieval",
        "plan": "functions local_models",
        "models": "local_models",
        "retrieval": "",
        "local_models": "",
        "functions": "",
        "entrance": "",
        "embedders": "",
    },
    "llm_api.cli": {
        "app": "chat doctor embed functions ingest keys models rag serve terminal",
        "chat": "conversation local_talker remote_server server_talker terminal",
        "ingest": "files local_library remote_server server_library terminal",
        "rag": "local_library terminal",
        "models": "optimize terminal",
        "server_talker": "conversation remote_server",
        "local_talker": "conversation",
        "server_library": "files remote_server",
        "local_library": "files",
        "serve": "terminal",
        "optimize": "terminal",
        "keys": "terminal",
        "functions": "terminal",
        "doctor": "terminal",
        "conversation": "terminal",
        "files": "",
        "remote_server": "",
        "embed": "",
        "terminal": "",
    },
    "llm_api.api": {
        "wiring": "deps docs draining errors mcp_server metrics middleware policy routes sse",
        "routes": "answers deps disconnect docs draining json_body mapping models origin"
        " request_facts response_stream text_stream uploads",
        "response_stream": "answers disconnect mapping models origin sse",
        "text_stream": "answers errors",
        "draining": "errors request_facts sse",
        "answers": "disconnect errors mapping models origin request_facts sse",
        "http": "errors middleware",
        "docs": "middleware models",
        "mcp_server": "json_body",
        "uploads": "errors",
        "sse": "errors models",
        "middleware": "deps errors metrics policy request_facts request_log",
        "json_body": "errors",
        "errors": "disconnect models request_facts validation",
        "metrics": "deps request_facts",
        "request_spans": "request_facts",
        "request_log": "request_facts",
        "mapping": "models",
        "policy": "",
        "validation": "",
        "deps": "",
        "disconnect": "",
        "request_facts": "",
        "origin": "",
        "models": "",
    },
    "llm_api.config": {
        "effective": "config_file model_entry settings",
        "chosen_models": "chosen_backends config_file model_entry settings",
        "config_file": "mcp_servers model_entry problems sections settings yaml_text",
        "chosen_backends": "model_entry sections settings",
        "model_entry": "sections settings",
        "keys_file": "problems sections settings yaml_text",
        "documentation": "settings",
        "settings": "problems sections",
        "mcp_servers": "sections",
        "problems": "",
        "yaml_text": "",
        "sections": "",
    },
    "llm_api.core.access": {
        "metered": "caller",
        "caller": "counters keys limiter",
        "redis_counters": "counters",
        "limiter": "counters keys",
        "counters": "",
        "keys": "",
    },
    "llm_api.core.embeddings": {
        "local": "cache embedder encoder micro_batcher prompts vectors",
        "sentence_transformer": "embedder encoder vectors",
        "gguf": "embedder encoder vectors",
        "doctor": "model_files vectors",
        "embedder_registry": "embedder on_demand",
        "prompts": "embedder encoder",
        "micro_batcher": "batch_queue embedder encoder",
        "vectors": "embedder",
        "upstream_embedder": "embedder",
        "on_demand": "embedder",
        "encoder": "embedder",
        "embedder": "",
        "model_files": "",
        "cache": "",
        "batch_queue": "",
    },
    "llm_api.core.functions": {
        "plugins": "catalog one_line python_function registry types",
        "python_function": "one_line registry types",
        "builtin": "registry",
        "registry": "arguments spec types",
        "mcp_functions": "catalog mcp_client mcp_servers types",
        "runner": "catalog one_line types",
        "spec": "annotations arguments types",
        "mcp_client": "mcp_listing mcp_results mcp_servers one_line types",
        "catalog": "types",
        "arguments": "one_line",
        "mcp_results": "",
        "mcp_listing": "",
        "mcp_servers": "",
        "types": "",
        "one_line": "",
        "annotations": "",
    },
    "llm_api.core.rag": {
        "reindex": "reports retrieval types vector_store",
        "retrieval": "chunking ingest jobs loaders prepare reports retrieve types vector_store",
        "ingest": "embed_documents prepare reports types vector_store",
        "evaluation": "retrieve vector_store",
        "answering": "retrieve sentences types vector_store words",
        "embed_documents": "prepare reports vector_store",
        "retrieve": "filters reports rerank vector_store",
        "prepare": "identity metadata reports types vector_store",
        "jobs": "reports",
        "files": "loaders reports types",
        "stores": "bm25 filters metadata types vector_store",
        "reports": "vector_store",
        "bm25": "vector_store words",
        "chunking": "sentences types",
        "vector_store": "filters types",
        "metadata": "filters types",
        "sentences": "types",
        "loaders": "types",
        "identity": "types",
        "filters": "types",
        "beir": "types",
        "rerank": "",
        "words": "",
        "types": "",
    },
}

# Who may not import what, beyond that. A name covers everything below it.
FORBIDDEN: Final[Mapping[str, tuple[str, ...]]] = {
    "llm_api.core": ("fastapi", "starlette", "sse_starlette", "pydantic_settings"),
}

# What only one part of a package may import.
RESERVED: Final[Mapping[str, tuple[str, str]]] = {
    "llm_api.core.llm": ("llm_api.core.rag", "llm_api.core.rag.answering"),
}

# Types of the wire. Each may have the name of the domain type that it carries.
WIRE: Final = "llm_api.api.models"

# Heavy libraries, and the only modules that import them.
DOORS: Final[Mapping[str, frozenset[str]]] = {
    "llama_cpp": frozenset(f"llm_api.core.llm.engine.{name}" for name in ("llama_library",)),
    "huggingface_hub": frozenset(
        {"llm_api.core.llm.files.download", "llm_api.core.embeddings.model_files"}
    ),
    "torch": frozenset(
        {
            "llm_api.core.embeddings.sentence_transformer",
            "llm_api.core.llm.backends.transformers_loading",
            "llm_api.core.llm.backends.transformers_runner",
        }
    ),
    **dict.fromkeys(
        ("transformers", "tokenizers"),
        frozenset(
            {
                "llm_api.core.embeddings.sentence_transformer",
                "llm_api.core.llm.backends.transformers_loading",
                "llm_api.core.llm.backends.transformers_vocabulary",
            }
        ),
    ),
    "sentence_transformers": frozenset(
        {"llm_api.core.embeddings.sentence_transformer", "llm_api.core.rag.rerank"}
    ),
    "jinja2": frozenset({"llm_api.core.llm.prompt.template_sandbox"}),
    "llguidance": frozenset({"llm_api.core.llm.engine.grammar"}),
    **dict.fromkeys(
        ("jsonschema", "referencing"),
        frozenset({"llm_api.core.llm.output.checking.json_validator"}),
    ),
    "regex": frozenset({"llm_api.core.llm.output.checking.string_checks"}),
    "redis": frozenset(
        {
            "llm_api.core.access.redis_counters",
            "llm_api.core.llm.gateway.response_cache.redis_answers",
            "llm_api.core.utils.redis_client",
        }
    ),
    "yaml": frozenset({"llm_api.config.yaml_text"}),
    "docstring_parser": frozenset({"llm_api.core.functions.spec"}),
    "prometheus_client": frozenset(
        f"llm_api.api.metrics.{name}" for name in ("exposition", "families", "sharing")
    ),
    "opentelemetry": frozenset({"llm_api.api.request_spans"}),
    "structlog": frozenset({"llm_api.core.utils.logs"}),
    "mcp": frozenset(
        {
            "llm_api.core.functions.mcp_client",
            "llm_api.core.functions.mcp_listing",
            "llm_api.core.functions.mcp_results",
            "llm_api.api.mcp_server",
        }
    ),
    "charset_normalizer": frozenset({"llm_api.core.rag.loaders.likely_charset"}),
    "markdown_it": frozenset({"llm_api.core.rag.loaders.markdown"}),
    "selectolax": frozenset(
        {f"llm_api.core.rag.loaders.{module}" for module in ("formulas", "html", "html_tree")}
    ),
    "pypdfium2": frozenset(
        {f"llm_api.core.rag.loaders.{module}" for module in ("pdf", "pdf_page", "pdf_forms")}
    ),
    "mammoth": frozenset({"llm_api.core.rag.loaders.docx"}),
    "qdrant_edge": frozenset(
        f"llm_api.core.rag.{name}"
        for name in (
            "bm25",
            "stores.edge",
            "stores.edge_index",
            "stores.edge_points",
            "stores.edge_values",
        )
    ),
    "qdrant_client": frozenset(
        f"llm_api.core.rag.stores.{name}"
        for name in ("requests", "server", "server_points", "server_values")
    ),
}

# Reading the environment is the settings' business alone.
ENVIRONMENT: Final = ("os.environ", "os.environb", "os.getenv")
MAY_READ_ENVIRONMENT: Final = "llm_api.config.settings"


def without_main_block(tree: ast.Module) -> ast.Module:
    """The module as others import it: `if __name__ == "__main__"` never runs then."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'")
    ]
    return ast.Module(body, tree.type_ignores)


def environment_reads(tree: ast.Module) -> set[str]:
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return (attributes | set(imported_names(tree))) & set(ENVIRONMENT)


def is_below(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


def foreign_siblings(module: str, names: set[str]) -> Iterator[str]:
    """What a module imports of its siblings at any level without a line that allows it."""
    for package, arrows in ARROWS.items():
        child = child_of(package, module)
        if child is None:
            continue
        if child not in arrows:
            yield f"{package} says nothing of {child}"
            continue
        for sibling in {child_of(package, name) for name in names} & arrows.keys() - {child}:
            if sibling not in arrows[child].split():
                yield f"imports {package}.{sibling}"


def violations(modules: Mapping[str, ast.Module]) -> list[str]:
    """Every broken law as `module: what it does`."""
    found = []
    for module, tree in modules.items():
        names = set(imported_names(tree))
        banned = {
            prefix
            for ancestor, prefixes in FORBIDDEN.items()
            if is_below(module, ancestor)
            for prefix in prefixes
        }
        banned |= {library for library, doors in DOORS.items() if module not in doors}
        banned |= {
            name
            for name, (whole, part) in RESERVED.items()
            if is_below(module, whole) and not is_below(module, part)
        }
        found += [
            f"{module}: imports {prefix}"
            for prefix in sorted(banned)
            if any(is_below(name, prefix) for name in names)
        ]
        found += [f"{module}: {broken}" for broken in sorted(foreign_siblings(module, names))]
        if "." in names:
            found.append(f"{module}: imports relatively")
        if module != MAY_READ_ENVIRONMENT and environment_reads(tree):
            found.append(f"{module}: reads the environment")
    return found


def cycle(modules: Mapping[str, ast.Module]) -> list[str]:
    """One import cycle as a path that ends where it began, or nothing."""
    graph = {
        module: {
            name
            for name in imported_names(without_main_block(tree))
            if name in modules and name != module
        }
        for module, tree in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_keeps_the_laws() -> None:
    assert violations(read_modules(SOURCE)) == []


def test_no_module_imports_itself_through_others() -> None:
    assert cycle(read_modules(SOURCE)) == []


def test_every_child_has_a_line_and_no_arrow_is_left_without_an_import() -> None:
    modules = read_modules(SOURCE)
    for package, arrows in ARROWS.items():
        found = {child: set(line.split()) for child, line in arrows.items()}
        assert edges(modules, package) == found, package


def type_names(modules: Mapping[str, ast.Module], *, of_the_wire: bool) -> list[str]:
    """The public classes at the top of the modules, as `module.name`. Pure."""
    return [
        f"{module}.{node.name}"
        for module, tree in modules.items()
        if is_below(module, WIRE) == of_the_wire
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("of_the_wire", [False, True])
def test_name_of_a_type_stands_for_one_idea(of_the_wire: bool) -> None:
    assert recurring(type_names(read_modules(SOURCE), of_the_wire=of_the_wire)) == {}


def test_types_of_one_name_are_found(tmp_path: Path) -> None:
    files = {
        "core/a.py": "class Job:\n    class Inner: ...\nclass _Part: ...",
        "core/b.py": "class Job: ...\nclass _Part: ...\nclass Inner: ...",
        "api/models/jobs.py": "class Job: ...",
    }
    modules = fake_package(tmp_path, files)
    assert recurring(type_names(modules, of_the_wire=False)) == {"Job": 2}
    assert recurring(type_names(modules, of_the_wire=True)) == {}


def test_the_whole_package_is_read() -> None:
    assert {PACKAGE, "llm_api.config.settings", "llm_api.core.errors"} <= read_modules(
        SOURCE
    ).keys()


def fake_package(folder: Path, files: Mapping[str, str]) -> dict[str, ast.Module]:
    source = folder / PACKAGE
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_modules(source)


@pytest.mark.parametrize(
    ("file", "text", "broken"),
    [
        ("core/errors.py", "import fastapi", ["llm_api.core.errors: imports fastapi"]),
        ("core/__init__.py", "import fastapi.x", ["llm_api.core: imports fastapi"]),
        (
            "core/errors.py",
            "from starlette.types import X",
            ["llm_api.core.errors: imports starlette"],
        ),
        ("core/errors.py", "from llm_api import api", ["llm_api.core.errors: imports llm_api.api"]),
        (
            "core/utils/a.py",
            "def f():\n    from llm_api.config.settings import Settings",
            ["llm_api.core.utils.a: imports llm_api.config"],
        ),
        (
            "core/errors.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import llm_api.cli",
            ["llm_api.core.errors: imports llm_api.cli"],
        ),
        (
            "core/llm/types.py",
            "import llm_api.core.rag.x",
            ["llm_api.core.llm.types: imports llm_api.core.rag"],
        ),
        (
            "core/functions/types.py",
            "import llm_api.core.llm.types",
            ["llm_api.core.functions.types: imports llm_api.core.llm"],
        ),
        (
            "core/rag/types.py",
            "import llm_api.core.llm.types",
            ["llm_api.core.rag.types: imports llm_api.core.llm"],
        ),
        (
            "assembly/models.py",
            "import llm_api.main",
            ["llm_api.assembly.models: imports llm_api.main"],
        ),
        ("new.py", "", ["llm_api.new: llm_api says nothing of new"]),
        ("core/llm/new.py", "", ["llm_api.core.llm.new: llm_api.core.llm says nothing of new"]),
        (
            "core/llm/engine/a.py",
            "import llm_api.core.llm.backends.llama",
            ["llm_api.core.llm.engine.a: imports llm_api.core.llm.backends"],
        ),
        (
            "api/models/a.py",
            "import llm_api.assembly.x",
            ["llm_api.api.models.a: imports llm_api.assembly"],
        ),
        ("api/models/a.py", "import llm_api.main", ["llm_api.api.models.a: imports llm_api.main"]),
        ("cli.py", "import llama_cpp", ["llm_api.cli: imports llama_cpp"]),
        ("cli.py", "from llama_cpp import x", ["llm_api.cli: imports llama_cpp"]),
        ("server.py", "import_module('llama_cpp')", ["llm_api.server: imports llama_cpp"]),
        (
            "server.py",
            "importlib.import_module('llama_cpp.x')",
            ["llm_api.server: imports llama_cpp"],
        ),
        (
            "core/rag/types.py",
            "import qdrant_edge",
            ["llm_api.core.rag.types: imports qdrant_edge"],
        ),
        ("main.py", "import redis.asyncio", ["llm_api.main: imports redis"]),
        ("main.py", "import huggingface_hub.errors", ["llm_api.main: imports huggingface_hub"]),
        ("api/models/a.py", "from . import b", ["llm_api.api.models.a: imports relatively"]),
        ("cli.py", "import os\nx = os.environ['A']", ["llm_api.cli: reads the environment"]),
        ("cli.py", "from os import getenv", ["llm_api.cli: reads the environment"]),
    ],
)
def test_broken_law_is_found(tmp_path: Path, file: str, text: str, broken: list[str]) -> None:
    assert violations(fake_package(tmp_path, {file: text})) == broken


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("core/errors.py", "import fastapi_like, os.path"),
        ("core/llm/engine/llama_library.py", "import llama_cpp"),
        ("core/llm/files/download.py", "from huggingface_hub import x"),
        ("core/rag/stores/server.py", "from qdrant_client import models"),
        ("core/rag/answering/a.py", "import llm_api.core.llm.types"),
        ("api/models/a.py", "import fastapi\nfrom llm_api.core.function_loop import y"),
        ("config/settings.py", "import os\nos.environ"),
        ("core/errors.py", "text = 'import fastapi'"),
    ],
)
def test_lawful_module_is_left_alone(tmp_path: Path, file: str, text: str) -> None:
    assert violations(fake_package(tmp_path, {file: text})) == []


def test_cycle_is_found_through_functions_and_packages(tmp_path: Path) -> None:
    files = {
        "a.py": "from llm_api import b",
        "b.py": "def f():\n    from llm_api.sub.c import x",
        "sub/c.py": "import llm_api.a",
    }
    found = cycle(fake_package(tmp_path, files))
    assert set(found) == {"llm_api.a", "llm_api.b", "llm_api.sub.c"}
    assert found[0] == found[-1]


def test_what_runs_only_as_a_program_is_no_cycle(tmp_path: Path) -> None:
    files = {
        "main.py": 'if __name__ == "__main__":\n    import llm_api.cli',
        "cli.py": "import llm_api.main",
    }
    assert cycle(fake_package(tmp_path, files)) == []


def test_shared_dependency_is_no_cycle(tmp_path: Path) -> None:
    files = {"a.py": "import llm_api.b, llm_api.c", "b.py": "import llm_api.c", "c.py": ""}
    assert cycle(fake_package(tmp_path, files)) == []
