import pytest

from llm_api.config.yaml_text import InvalidYamlError, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, 2.5]", {"a": 1, "b": ["x", 2.5]}),
        ("a: {name: x}\nb: {name: y}", {"a": {"name": "x"}, "b": {"name": "y"}}),
        ("a: &all {x: 1}\nb: {<<: *all, x: 2}", {"a": {"x": 1}, "b": {"x": 2}}),
    ],
)
def test_yaml_becomes_plain_values(text: str, value: object) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2", "line 2: the key 'a' is given twice"),
        ("x:\n  - b: 1\n    'b': 2", "line 3: the key 'b' is given twice"),
        ("a: [1", "line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: !!python/object/apply:os.system [id]", "line 1: could not determine a constructor"),
        ("? [a]\n: 1", "line 1: found unhashable key"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        ("a: 2024-99-99", "is no YAML that can be read"),
        ("a: \x00", "is no YAML that can be read"),
        ("[" * 10_000, "is no YAML that can be read"),
    ],
)
def test_bad_yaml_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(InvalidYamlError) as caught:
        parse_yaml(text)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
