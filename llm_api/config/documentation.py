"""The settings as documents: README's table and `.env.example`. Tests hold the files to these."""

from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from llm_api.config.settings import Settings


def settings_table() -> str:
    """The Markdown table of every setting, without a newline at its end."""
    rows = ["| Name | Default | Meaning |", "|---|---|---|"]
    for name, default, meaning in _described_settings():
        rows.append(f"| `{name}` | {f'`{default}`' if default else 'unset'} | {meaning} |")
    return "\n".join(rows)


def env_example() -> str:
    """The text of `.env.example`: every setting, commented out, with its default."""
    lines = ["# Copy to `.env` and uncomment what you change. The environment wins over `.env`."]
    for name, default, meaning in _described_settings():
        lines += ["", f"# {meaning}", f"# {name}={default}"]
    return "\n".join(lines) + "\n"


def _described_settings() -> Iterator[tuple[str, str, str]]:
    """Name, default ("" when unset) and meaning of each setting, in the order of declaration."""
    for field_name, field in Settings.model_fields.items():
        if field.default is PydanticUndefined or not field.description:
            raise TypeError(f"{field_name} needs a default and a description")
        unset = field.default is None or field.default == ()
        default = "" if unset else str(field.default)
        if isinstance(field.default, bool):
            default = default.lower()
        yield field_name.upper(), default, field.description
