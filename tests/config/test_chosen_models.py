from pathlib import Path
from typing import Any

import pytest

from llm_api.config.chosen_models import choose_models
from llm_api.config.settings import ConfigurationError, Settings, load_settings

FILE = """
memory: 2GB
models:
  - {name: a, default: true, load: startup, context_length: 128, threads: 3, aliases: [x]}
  - {name: b, path: folder/b.gguf, temperature: 0, mmap: false}
  - {name: c, repo_id: o/r, filename: m.gguf}
"""


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def settings(text: str = FILE, **others: object) -> Settings:
    path = Path("deep") / "models.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_settings(config_file=path, **others)


def test_without_a_file_the_environment_names_the_one_model() -> None:
    given = load_settings(model_path=Path("m.gguf"), model_idle_seconds=5, model_memory="1GB")
    chosen = choose_models(given)
    [model] = chosen.models
    assert (model.name, model.place, model.loads_at_startup) == (None, "", True)
    assert model.settings == given
    assert (chosen.idle_seconds, chosen.memory_bytes) == (5, 10**9)


@pytest.mark.parametrize(
    ("named", "names"),
    [
        ({"model_path": "m.gguf"}, "MODEL_PATH"),
        (
            {"model_repo_id": "a/b", "model_filename": "m.gguf"},
            "MODEL_REPO_ID and MODEL_FILENAME",
        ),
        ({"model_aliases": "x"}, "MODEL_ALIASES"),
    ],
)
def test_a_file_of_models_excludes_a_model_of_the_environment(
    named: dict[str, Any], names: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_models(settings(**named))
    assert str(caught.value) == (
        f"CONFIG_FILE: must name no models when {names} is set, or the reverse"
    )


def test_a_file_without_models_leaves_the_model_of_the_environment_as_it_is() -> None:
    given = settings("mcp_servers: {}\nmemory: 2GB", model_path=Path("m.gguf"), model_aliases="x")
    chosen = choose_models(given)
    [model] = chosen.models
    assert (model.name, model.loads_at_startup, model.settings) == (None, True, given)
    assert chosen.memory_bytes == 2 * 10**9


def test_an_entry_wins_over_the_settings_and_leaves_the_others_as_they_are() -> None:
    first, second, third = choose_models(settings(context_length=512, temperature=1)).models
    assert (first.settings.context_length, first.settings.n_threads) == (128, 3)
    assert (second.settings.context_length, second.settings.n_threads) == (512, None)
    assert (first.settings.temperature, second.settings.temperature) == (1, 0)
    assert (first.settings.mmap, second.settings.mmap) == (True, False)
    assert (first.settings.model_aliases, second.settings.model_aliases) == (("x",), ())
    assert third.settings.model_repo_id == "o/r"
    assert [model.loads_at_startup for model in (first, second, third)] == [True, False, False]


def test_a_path_is_relative_to_the_file() -> None:
    assert choose_models(settings()).models[1].settings.model_path == Path("deep/folder/b.gguf")


def test_the_top_level_wins_over_the_settings_it_mirrors() -> None:
    chosen = choose_models(settings(model_memory="9GB", model_idle_seconds=7))
    assert (chosen.memory_bytes, chosen.idle_seconds) == (2 * 10**9, 7)


def test_a_kv_buffer_that_holds_no_full_request_is_refused_at_its_place() -> None:
    text = "models: {a: {default: true, context_length: 4096}}"
    with pytest.raises(ConfigurationError) as caught:
        choose_models(settings(text, kv_tokens=1024))
    assert str(caught.value) == (
        "models.yaml: models.a.kv_tokens: must be at least context_length, 4096, not 1024"
    )


@pytest.mark.parametrize(("asked", "name"), [(None, "a"), ("b", "b"), ("x", "a")])
def test_one_model_can_be_chosen_alone(asked: str | None, name: str) -> None:
    [model] = choose_models(settings()).only(asked).models
    assert (model.name, model.loads_at_startup) == (name, True)


def test_a_model_that_the_file_does_not_name_cannot_be_chosen() -> None:
    with pytest.raises(ConfigurationError, match="no model 'z' in the file; it names a, b, c"):
        choose_models(settings()).only("z")


def test_every_key_of_an_entry_has_an_effect() -> None:
    values = {
        "context_length": 64,
        "max_tokens": 1,
        "temperature": 2,
        "parallel": 1,
        "kv_tokens": 64,
        "max_queue": 0,
        "gpu_layers": 0,
        "main_gpu": 1,
        "tensor_split": [1],
        "flash_attention": "off",
        "kv_cache_type": "q8_0",
        "mmap": "false",
        "mlock": "true",
    }
    lines = "\n".join(f"    {key}: {value}" for key, value in values.items())
    text = f"models:\n  a:\n    default: true\n{lines}"
    [model] = choose_models(settings(text)).models
    unchanged = Settings()
    for key in values:
        assert getattr(model.settings, key) != getattr(unchanged, key), key


ADAPTED = """
models:
  - name: a
    default: true
    lora:
      poet: poet.gguf
      terse: {path: terse.gguf, scale: 0.5}
"""


def test_adapters_are_files_beside_the_file_that_names_them() -> None:
    given = settings(ADAPTED)
    for name in ("poet", "terse"):
        Path(f"deep/{name}.gguf").touch()
    [model] = choose_models(given).models
    assert [(one.name, one.path, one.scale) for one in model.adapters] == [
        ("poet", Path("deep/poet.gguf"), 1),
        ("terse", Path("deep/terse.gguf"), 0.5),
    ]


def test_an_adapter_that_is_not_there_is_an_error_with_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"\.lora\.poet: there is no deep/poet\.gguf"):
        choose_models(settings(ADAPTED))


@pytest.mark.parametrize("entry", ["small.gguf", "{path: small.gguf}"])
def test_a_draft_model_is_a_file_beside_the_file_that_names_it(entry: str) -> None:
    given = settings(f"models:\n  - {{name: a, default: true, draft: {entry}}}\n")
    with pytest.raises(ConfigurationError, match=r"\.draft: there is no deep/small\.gguf"):
        choose_models(given)
    Path("deep/small.gguf").touch()
    [model] = choose_models(given).models
    assert model.settings.draft_model == Path("deep/small.gguf")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            "{name: a, default: true, lora: {'a:b': x.gguf}}",
            "lora.a:b: must be a mapping from names, without spaces and colons, to the paths",
        ),
        ("{name: a, default: true, lora: {}}", "lora: must be a mapping from names"),
        (
            "{name: a, default: true, lora: {p: {path: x.gguf, scale: 1000.0}}}",
            "lora.p.scale: must be a number between -100 and 100",
        ),
        ("{name: a, default: true, lora: {p: {scale: 1.0}}}", "lora.p.path: must be given"),
        ("{name: a, backend: stub, lora: {p: x.gguf}}", "lora: means nothing to the backend stub"),
        ("{name: a, backend: stub, draft: x.gguf}", "draft: means nothing to the backend stub"),
        ("{name: a, default: true, draft: {}}", "draft.path: must be given"),
    ],
)
def test_adapters_that_mean_nothing_are_refused(entry: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        choose_models(settings(f"models:\n  - {entry}\n"))
