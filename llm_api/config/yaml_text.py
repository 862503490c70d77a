"""YAML as plain values and back: safely, every key given once. Knows nothing of its meaning."""

from collections.abc import Hashable

import yaml


class InvalidYamlError(Exception):
    """`str(error)` is one line that says where, and what is wrong."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader makes plain values only; this one refuses a key given twice."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark
                )
            if key is not None:
                seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> object:
    """The one document of a text, None for an empty one. Raises InvalidYamlError."""
    try:
        loader = _UniqueKeyLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise InvalidYamlError(f"{line}{error.problem}") from error
    # Numbers, dates and texts that look like such and are none; nesting without end.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidYamlError("is no YAML that can be read") from error


def to_yaml(value: object) -> str:
    """Plain values as YAML, in their order. Pure."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
