"""The documents agree with the code they describe."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from starlette.routing import Route

from llm_api.api.mcp_on_demand import MCP_PATH
from llm_api.api.policy import POLICY
from llm_api.api.request_facts import RequestFacts
from llm_api.api.request_log import to_record
from llm_api.api.wiring import create_api
from llm_api.config.chosen_models import choose_models
from llm_api.config.config_file import load_config_file
from llm_api.config.documentation import READY_MODELS, env_example, settings_table
from llm_api.config.keys_file import KeyEntry, read_keys
from llm_api.config.mcp_servers import DEFAULT_START_SECONDS, MCPServerEntry
from llm_api.config.model_entry import ModelEntry, ReplicaEntry
from llm_api.config.sections.models import BackendName
from llm_api.config.settings import Settings, load_settings
from llm_api.core.access.keys import USER_SCOPES
from llm_api.core.functions.builtin.weather.functions import Weather
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.plugins import builtin_plugins, file_plugins, load_plugins
from llm_api.core.functions.python_function import FunctionThreads
from llm_api.core.functions.registry import function_registry
from llm_api.core.functions.runner import FunctionRunner
from scripts.clients.codex import client as codex
from scripts.clients.opencode import client as opencode
from scripts.settings_pages import with_table
from scripts.stress.__main__ import CASES
from tests.cli.command import llm_api
from tests.documents import (
    PAGES,
    README,
    ROOT,
    TEXT,
    anchors,
    block,
    fenced,
    links,
    section,
    without_fences,
)


def test_endpoint_table_lists_every_endpoint_and_no_other() -> None:
    listed = re.findall(r"^\| ([A-Z]+) \| `(.+?)` \| .+\. \|$", block("endpoints"), re.MULTILINE)
    app = create_api(version="0")
    paths = app.openapi()["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    plain = [route for route in app.routes if type(route) is Route and route.include_in_schema]
    served |= {(method, route.path) for route in plain for method in route.methods or ()}
    assert ("POST", "/mcp") in served
    assert sorted(listed) == sorted(served)


@pytest.mark.parametrize(
    "example",
    [fenced(TEXT, "py")[0][1], (ROOT / "examples/functions/tip.py").read_text(encoding="utf-8")],
    ids=["page", "file"],
)
async def test_example_of_a_function_is_one(example: str, tmp_path: Path) -> None:
    (tmp_path / "tips.py").write_text(example, encoding="utf-8")
    catalog = FunctionCatalog()
    load_plugins(file_plugins(tmp_path), function_registry, catalog, FunctionThreads())
    function = catalog.get("calculate_tip")
    properties = function.spec.parameters["properties"]
    assert isinstance(properties, dict)
    assert properties["bill_amount"] == {
        "type": "number",
        "description": "The bill before the tip.",
    }
    result = await FunctionRunner(5, 1024).run(function, {"bill_amount": 80})
    assert result.content == '{"tip":12.0,"total":92.0}'


def test_folder_of_functions_is_used_as_its_example_says() -> None:
    said = (ROOT / "examples/functions/tip.py").read_text(encoding="utf-8")
    [(folder, arguments)] = re.findall(r"^FUNCTIONS_DIR=(\S+) llm-api (.+)$", said, re.MULTILINE)
    done = llm_api(ROOT, *arguments.split(), FUNCTIONS_DIR=folder)
    assert json.loads(done.stdout) == {"tip": 12.0, "total": 92.0}, done.stderr


def test_every_built_in_function_is_named() -> None:
    catalog = FunctionCatalog()
    load_plugins(builtin_plugins(), function_registry, catalog, FunctionThreads())
    names = {function.spec.name for function in catalog.functions()}
    names |= {Weather.get_weather.__name__, Weather.get_weather_forecast.__name__}
    assert {
        name for name in names if f"`{name}`" not in section("Functions that the server runs")
    } == set()


def test_table_of_the_request_log_names_every_key() -> None:
    facts = RequestFacts("req_1", "GET", datetime.now(UTC), began=0, keeps_content=True)
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", block("log"), re.MULTILINE)))
    assert named == list(to_record(facts))


def test_settings_table_is_the_generated_one() -> None:
    assert block("settings") == settings_table()


def test_the_script_puts_the_settings_table_between_its_markers() -> None:
    page = "a\n<!-- settings:begin -->\nold \\1\n<!-- settings:end -->\nb\n"
    said = page.replace("old \\1", settings_table())
    assert with_table(page) == with_table(said) == said


def policy_table() -> str:
    """What each path takes, as the page says it."""
    rows = ["| Path, and all below it | What it takes |", "|---|---|"]
    for rule in POLICY:
        scopes = " and ".join(f"`{scope}`" for scope in rule.scopes)
        public = "nothing; this path alone" if rule.is_public else "any key"
        if rule.is_public_below:
            public = "nothing"
        rows.append(f"| `{rule.path}` | {scopes or public} |")
    return "\n".join(rows)


def test_policy_table_is_that_of_the_middleware() -> None:
    assert block("policy") == policy_table()


def test_example_of_a_file_of_keys_is_accepted_and_names_every_key(tmp_path: Path) -> None:
    [entry] = read_keys(yaml_example(tmp_path, "Keys"))
    assert entry.model_fields_set == KeyEntry.model_fields.keys()
    assert set(entry.scopes) == USER_SCOPES


def test_env_example_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_env_example_uncommented_is_accepted_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^# ([A-Z0-9_]+=)", r"\1", env_example(), flags=re.MULTILINE)
    Path(".env").write_text(text, encoding="utf-8")
    settings = load_settings()
    assert {name.upper() for name in Settings.model_fields} == set(
        re.findall(r"^([A-Z0-9_]+)=", text, re.MULTILINE)
    )
    assert settings.model_dump() == {
        name: field.default for name, field in Settings.model_fields.items()
    }


def test_env_example_has_models_ready_to_be_uncommented(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MODEL_REPO_ID", raising=False)
    monkeypatch.delenv("MODEL_FILENAME", raising=False)
    monkeypatch.chdir(tmp_path)
    pairs = re.findall(r"^#(MODEL_REPO_ID=.+\n)#(MODEL_FILENAME=.+\n)", env_example(), re.MULTILINE)
    assert len(pairs) == len(READY_MODELS)
    named = []
    for lines in pairs:
        Path(".env").write_text("".join(lines), encoding="utf-8")
        settings = load_settings()
        named.append((settings.model_repo_id, settings.model_filename))
    assert named == [(model.repo_id, model.filename) for model in READY_MODELS]
    assert ("TheBloke/Llama-2-7B-Chat-GGUF", "llama-2-7b-chat.Q4_K_M.gguf") in named


def yaml_example(folder: Path, title: str) -> Path:
    """The YAML of a section, as a file."""
    [(_, example)] = fenced(section(title), "yaml")
    file = folder / "config.yaml"
    file.write_text(example, encoding="utf-8")
    return file


def test_example_of_mcp_servers_is_accepted_and_names_every_key(tmp_path: Path) -> None:
    file = yaml_example(tmp_path, "MCP")
    files, search = load_config_file(file).mcp_servers.values()
    assert (files.command, str(search.url)) == ("npx", "https://search.example/mcp")
    assert search.headers["Authorization"].get_secret_value() == "Bearer 0123"
    given = files.model_fields_set | search.model_fields_set | {"type"}
    assert given == MCPServerEntry.model_fields.keys()
    assert f"{DEFAULT_START_SECONDS:g} unless said" in TEXT
    [model] = choose_models(Settings(config_file=file)).models
    assert model.settings == Settings(config_file=file)


def test_example_of_a_client_s_json_is_accepted(tmp_path: Path) -> None:
    [(_, example)] = fenced(section("MCP"), "json")
    file = tmp_path / "config.json"
    file.write_text(example, encoding="utf-8")
    [local] = load_config_file(file).mcp_servers.values()
    assert str(local.url).endswith(f":8000{MCP_PATH}")


def test_examples_for_codex_are_what_codex_is_tried_with() -> None:
    (_, config), (_, catalogue) = fenced(section("Codex"), "toml", "json")
    names = {"model": "qwen2.5-coder-1.5b", "base_url": "http://127.0.0.1:8000/v1"}
    assert config == codex.CONFIG.format(**names)
    assert catalogue == codex.CATALOGUE.format(**names)


def test_example_for_opencode_is_what_opencode_is_tried_with() -> None:
    [(_, config)] = fenced(section("opencode"), "json")
    names = {"model": "qwen2.5-coder-1.5b", "base_url": "http://127.0.0.1:8000/v1"}
    assert config == opencode.CONFIG.format(**names)


def test_example_of_several_models_is_accepted(tmp_path: Path) -> None:
    chosen = choose_models(Settings(config_file=yaml_example(tmp_path, "Several models")))
    assert len(chosen.models) == 3
    assert (chosen.idle_seconds, chosen.memory_bytes) == (600, 8_000_000_000)
    assert [model.loads_at_startup for model in chosen.models] == [True, False, False]
    text = section("Several models") + section("Several servers for one model")
    keys = {*ModelEntry.model_fields, *ReplicaEntry.model_fields}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


def test_example_of_a_gateway_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    file = yaml_example(tmp_path, "Several servers for one model")
    chat, small, tiny, stub = (
        model.backend for model in choose_models(Settings(config_file=file)).models
    )
    assert [replica.weight for replica in chat.replicas] == [2, 1]
    assert [one.api_key and one.api_key.get_secret_value() for one in chat.replicas] == [
        "sesame"
    ] * 2
    assert {replica.model for replica in chat.replicas} == {"Qwen/Qwen2.5-72B-Instruct"}
    assert chat.fallbacks == ("small", "stub")
    assert [model.kind for model in (small, tiny, stub)] == ["ollama", "huggingface", "stub"]


def test_every_backend_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.+?) \|", section("Backends"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert listed == set(get_args(get_args(BackendName)[0]))


def test_every_case_of_stress_is_in_its_table() -> None:
    _, _, *rows = block("stress").splitlines()
    said = [tuple(row.split(" | ")[:2]) for row in rows]
    assert said == [(f"| {case.name}", case.claim) for case in CASES]


def test_make_targets_that_documents_name_exist() -> None:
    contributing = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", TEXT + contributing, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test\b", README, re.MULTILINE)
    assert re.search(r"^timed .* make test$", ci, re.MULTILINE)


LINKED = [
    "README.md",
    *PAGES,
    "CHANGELOG.md",
    "SECURITY.md",
    ".github/CONTRIBUTING.md",
    "examples/README.md",
    "models/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "llm_api").rglob("*.md")),
]


@pytest.mark.parametrize("name", LINKED)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(name: str) -> None:
    file = ROOT / name
    for link in links(file.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_links_and_anchors_are_found() -> None:
    text = (
        "# A `name` of it, twice\n[one](x.md#y) `[no](z)`\n```\n# no\n```\n## A name of it: twice\n"
    )
    assert list(links(text)) == ["x.md#y"]
    assert anchors(text) == {"a-name-of-it-twice", "a-name-of-it-twice-1"}


def test_the_readme_is_short_and_lists_every_page() -> None:
    assert len(README.splitlines()) <= 250
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == set(PAGES)
    for name, text in PAGES.items():
        assert re.findall(r"^# ", without_fences(text), re.MULTILINE) == ["# "], name


CORE = ROOT / "llm_api" / "core"
CODE = [ROOT, ROOT / "llm_api", CORE, CORE / "llm", CORE / "rag"]
"""Where a path that documents name may begin."""


@pytest.mark.parametrize("name", ["docs/architecture.md", ".github/CONTRIBUTING.md"])
def test_every_path_that_is_named_is_there(name: str) -> None:
    text = without_fences((ROOT / name).read_text(encoding="utf-8"))
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text)
    assert len(named) > 5
    missing = {
        path
        for path in named
        if not any((base / path).exists() or (base / f"{path}.py").exists() for base in CODE)
    }
    assert missing == set()


DESIGNS = sorted((ROOT / "llm_api").rglob("DESIGN.md"))


@pytest.mark.parametrize("design", DESIGNS, ids=lambda path: path.parent.name)
def test_every_module_that_a_design_names_is_there(design: Path) -> None:
    text = design.read_text(encoding="utf-8")
    named = set(re.findall(r"\b((?:\w+/)*\w+\.py)\b", text))
    tests = ROOT / "tests" / design.parent.relative_to(ROOT / "llm_api")
    bases = [*CODE, design.parent, tests]
    assert {path for path in named if not any((base / path).exists() for base in bases)} == set()


def test_the_architecture_leads_to_every_design() -> None:
    led = {path for path in links(PAGES["docs/architecture.md"]) if path.endswith("DESIGN.md")}
    assert led == {f"../{design.relative_to(ROOT).as_posix()}" for design in DESIGNS}


def test_every_class_that_the_architecture_names_is_there() -> None:
    text = PAGES["docs/architecture.md"]
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]*)*)`", text))
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "llm_api").rglob("*.py"))
    assert {"Backend", "Finished"} <= named
    assert {
        name for name in named if not re.search(rf"^(?:class )?{name}\b", code, re.MULTILINE)
    } == set()
