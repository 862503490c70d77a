from pathlib import Path

import pytest

from llm_api.config.config_file import load_config_file
from llm_api.config.model_entry import ModelEntry
from llm_api.config.settings import ConfigurationError, Settings

ONE = "models: [{name: a, default: true%s}]"
TWO = "models:\n- {name: a, default: true}\n- {%s}"


def written(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_names_models_in_its_order(tmp_path: Path) -> None:
    file = load_config_file(written(tmp_path, TWO % "name: b, path: b.gguf, load: startup"))
    assert list(file.models) == ["models[0]", "models[1]"]
    first, second = file.models.values()
    assert (first.name, first.default, first.load) == ("a", True, "on_demand")
    assert (second.name, second.path, second.load) == ("b", Path("b.gguf"), "startup")
    assert (file.idle_seconds, file.memory_bytes) == (None, None)


def test_a_mapping_names_models_by_its_keys(tmp_path: Path) -> None:
    text = "models:\n  b: {default: true}\n  a: {repo_id: o/r, filename: m.gguf}\nidle_seconds: 9"
    file = load_config_file(written(tmp_path, text))
    assert {place: entry.name for place, entry in file.models.items()} == {
        "models.b": "b",
        "models.a": "a",
    }
    assert file.idle_seconds == 9


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("flash_attention: on", "flash_attention", "on"),
        ("flash_attention: off", "flash_attention", "off"),
        ("flash_attention: auto", "flash_attention", "auto"),
        ("temperature: 1", "temperature", 1.0),
        ("tensor_split: [3, 1]", "tensor_split", (3.0, 1.0)),
        ("aliases: [x, y]", "aliases", ("x", "y")),
        ("mmap: no", "mmap", False),
        ("parallel: null", "parallel", None),
        ("kv_cache_type: Q8_0", "kv_cache_type", "q8_0"),
    ],
)
def test_value_is_read(tmp_path: Path, text: str, key: str, value: object) -> None:
    [entry] = load_config_file(written(tmp_path, ONE % f", {text}")).models.values()
    assert getattr(entry, key) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "must be a mapping with keys such as models"),
        ("- a", "must be a mapping with keys such as models"),
        ("a: [", "line 1: expected the node content, but found '<stream end>'"),
        ("models:", "models: must be a list or a mapping of at least one model"),
        ("models: []", "models: must be a list or a mapping of at least one model"),
        ("models: {}", "models: must be a list or a mapping of at least one model"),
        ("models: small", "models: must be a list or a mapping of at least one model"),
        ("model: []", "model: unknown key; did you mean models?"),
        (ONE % "" + "\nmemmory: 1", "memmory: unknown key; did you mean memory?"),
        (ONE % "" + "\nmemory: much", "memory: must be a size such as 8GB, not 'much'"),
        (
            ONE % "" + "\nidle_seconds: 0",
            "idle_seconds: must be a whole number, at least 1, not 0",
        ),
        (ONE % "" + "\nmodels: []", "line 2: the key 'models' is given twice"),
        (ONE % ", name: b", "line 1: the key 'name' is given twice"),
        (TWO % "default: true", "models[1].name: must be given"),
        (TWO % "name: 7, default: true", "models[1].name: must be a text that is not empty, not 7"),
        (TWO % "name: ''", "models[1].name: must be a text that is not empty, not ''"),
        ("models: [a]", "models[0]: must be a mapping of keys"),
        ("models: {a: }", "models.a: must be a mapping of keys"),
        ("models: {a: {name: b}}", "models.a.name: the entry has its name already"),
        ("models: {7: {default: true}}", "models.7.name: must be a text that is not empty, not 7"),
        (
            TWO % "name: b, path: m.gguf, context_length: 63",
            "models[1].context_length: must be a whole number, at least 64, not 63",
        ),
        (
            TWO % "name: b, path: m.gguf, context_length: '64'",
            "models[1].context_length: must be a whole number, at least 64, not '64'",
        ),
        (
            "models: {b: {path: m.gguf, parallel: yes}}",
            "models.b.parallel: must be a whole number between 1 and 128, not True",
        ),
        (ONE % ", threads: 0", "models[0].threads: must be a whole number, at least 1, not 0"),
        (ONE % ", temperature: .nan", "models[0].temperature: must be a number between 0 and 2,"),
        (ONE % ", mlock: 1", "models[0].mlock: must be true or false, not 1"),
        (ONE % ", load: later", "models[0].load: must be startup or on_demand, not 'later'"),
        (ONE % ", kv_cache_type: f32", "models[0].kv_cache_type: must be f16 or q8_0 or q4_0,"),
        (ONE % ", flash_attention: 1", "models[0].flash_attention: must be auto or on or off,"),
        (ONE % ", tensor_split: []", "models[0].tensor_split: must be a list that is not empty,"),
        (ONE % ", tensor_split: [-1]", "models[0].tensor_split[0]: must be a number, at least 0,"),
        (ONE % ", aliases: x", "models[0].aliases: must be a list that is not empty, not 'x'"),
        (ONE % ", aliases: [1]", "models[0].aliases[0]: must be a text that is not empty, not 1"),
        (
            ONE % ", contextlength: 64",
            "models[0].contextlength: unknown key; did you mean context_length?",
        ),
        (
            ONE % ", backend: gpt",
            "models[0].backend: must be llama or openai or vllm or llama-server or ollama or",
        ),
        (ONE % ", url: ftp://x", "models[0].url: must be a URL such as https://example.org"),
        (ONE % ", replicas: []", "models[0].replicas: must be a list that is not empty, not []"),
        (ONE % ", replicas: [a]", "models[0].replicas[0]: must be a mapping with a url, not 'a'"),
        (ONE % ", replicas: [{}]", "models[0].replicas[0].url: must be given"),
        (
            ONE % ", replicas: [{url: http://a, weight: 0}]",
            "models[0].replicas[0].weight: must be a number, at least 0.001, not 0",
        ),
        (
            ONE % ", replicas: [{url: http://a, wieght: 1}]",
            "models[0].replicas[0].wieght: unknown key; did you mean weight?",
        ),
        (ONE % ", api_key: 123456", "models[0].api_key: must be a text"),
        (ONE % ", fallbacks: []", "models[0].fallbacks: must be a list that is not empty, not []"),
        (ONE % ", total_seconds: 0", "models[0].total_seconds: must be a number, at least 0.1, "),
        (TWO % "name: a, path: x", "models[1].name: 'a' is taken by models[0].name"),
        (
            TWO % "name: b, path: x, aliases: [c, a]",
            "models[1].aliases[1]: 'a' is taken by models[0].name",
        ),
        (ONE % ", aliases: [b, b]", "models[0].aliases[1]: 'b' is taken by models[0].aliases[0]"),
        (ONE % ", aliases: [a]", "models[0].aliases[0]: 'a' is taken by models[0].name"),
    ],
)
def test_bad_file_is_refused_in_one_line_that_names_the_place(
    tmp_path: Path, text: str, line: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config_file(written(tmp_path, text))
    assert str(caught.value).startswith(f"models.yaml: {line}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_key_is_in_no_message(tmp_path: Path) -> None:
    text = ONE % ", replicas: [{url: 'http://u:sesame@[', api_key: [sesame]}], api_key: [sesame]"
    with pytest.raises(ConfigurationError) as caught:
        load_config_file(written(tmp_path, text))
    assert "sesame" not in str(caught.value)


def test_a_file_may_name_no_models(tmp_path: Path) -> None:
    file = load_config_file(written(tmp_path, "memory: 8GB"))
    assert (file.models, file.mcp_servers, file.memory_bytes) == ({}, {}, 8 * 10**9)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read: No such file"):
        load_config_file(tmp_path / "absent.yaml")
    path = tmp_path / "models.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"^models\.yaml: is not UTF-8 text$"):
        load_config_file(path)


def test_keys_accept_what_the_settings_of_their_name_accept() -> None:
    names = {"threads": "n_threads"}
    for key, field in ModelEntry.model_fields.items():
        setting = Settings.model_fields.get(names.get(key, key))
        if setting is not None:
            bounds = {str(item) for item in setting.metadata if hasattr(item, "ge")}
            bounds |= {str(item) for item in setting.metadata if hasattr(item, "le")}
            assert bounds <= {str(item) for item in field.metadata}, key
