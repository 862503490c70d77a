"""The documents agree with the code they describe."""

import re
from pathlib import Path

import pytest

from llm_api.config.chosen_models import choose_models
from llm_api.config.documentation import env_example, settings_table
from llm_api.config.models_file import ModelEntry
from llm_api.config.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """What stands between the markers of that name."""
    found = re.search(f"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", README, re.DOTALL)
    assert found is not None, f"README.md has no block {name!r}"
    return found.group(1)


def test_settings_table_is_the_generated_one() -> None:
    assert block("settings") == settings_table()


def test_env_example_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_env_example_uncommented_is_accepted_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^# ([A-Z_]+=)", r"\1", env_example(), flags=re.MULTILINE)
    Path(".env").write_text(text, encoding="utf-8")
    settings = load_settings()
    assert {name.upper() for name in Settings.model_fields} == set(
        re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    )
    assert settings.model_dump() == {
        name: field.default for name, field in Settings.model_fields.items()
    }


def test_example_of_several_models_is_accepted(tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    file = tmp_path / "models.yaml"
    file.write_text(example, encoding="utf-8")
    chosen = choose_models(Settings(config_file=file))
    assert len(chosen.models) == 3
    assert (chosen.idle_seconds, chosen.memory_bytes) == (600, 8_000_000_000)
    assert [model.loads_at_startup for model in chosen.models] == [True, False, False]
    keys = set(ModelEntry.model_fields)
    assert {key for key in keys if not re.search(rf"\b{key}\b", block_of_several_models())} == set()


def block_of_several_models() -> str:
    return README.partition("## Several models")[2].partition("\n## ")[0]


def test_make_targets_that_documents_name_exist() -> None:
    contributing = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", README + contributing, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test\b", README, re.MULTILINE)
    assert re.search(r"^timed .* make test$", ci, re.MULTILINE)
