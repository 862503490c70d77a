"""The settings as documents: the table of docs/configuration.md, and `.env.example`.

Tests hold the two files to these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import get_annotations
from typing import Final

from pydantic_core import PydanticUndefined

from llm_api.config.settings import Settings


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """A model on Hugging Face that `.env.example` has ready to be uncommented."""

    title: str
    repo_id: str
    filename: str


READY_MODELS: Final = (
    ReadyModel(
        "Qwen3 4B, with reasoning and tools (2.5 GB)", "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf"
    ),
    ReadyModel("Gemma 3 4B (2.5 GB)", "ggml-org/gemma-3-4b-it-GGUF", "gemma-3-4b-it-Q4_K_M.gguf"),
    ReadyModel(
        "Llama 2 7B Chat (4.1 GB)",
        "TheBloke/Llama-2-7B-Chat-GGUF",
        "llama-2-7b-chat.Q4_K_M.gguf",
    ),
)


def settings_table() -> str:
    """A Markdown table of each section's settings, below its heading; no newline at the end."""
    tables = []
    for section in _sections():
        rows = [f"## {_title(section)}", "", "| Name | Default | Meaning |", "|---|---|---|"]
        for name, default, meaning in _described_settings(section):
            rows.append(f"| `{name}` | {f'`{default}`' if default else 'unset'} | {meaning} |")
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def env_example() -> str:
    """The text of `.env.example`: models, then every setting with its default; commented out."""
    lines = ["# Copy to `.env` and uncomment what you change. The environment wins over `.env`."]
    lines += [
        "",
        "# Models to take: uncomment the two lines of one. It is fetched at the first start.",
    ]
    for model in READY_MODELS:
        lines += ["", f"# {model.title}:"]
        lines += [f"#MODEL_REPO_ID={model.repo_id}", f"#MODEL_FILENAME={model.filename}"]
    for section in _sections():
        for name, default, meaning in _described_settings(section):
            lines += ["", f"# {meaning}", f"# {name}={default}"]
    return "\n".join(lines) + "\n"


def _sections() -> Iterator[type]:
    """The classes that declare settings, in the order in which these are documented."""
    return (
        one for one in reversed(Settings.__mro__) if one.__name__.endswith("Settings") and _own(one)
    )


def _own(section: type) -> list[str]:
    """The settings that a class itself declares, in order."""
    return [name for name in get_annotations(section) if name in Settings.model_fields]


def _title(section: type) -> str:
    """`RequestLogSettings` as "Request log settings"."""
    words = re.findall(r"[A-Z][a-z]*", section.__name__)
    return " ".join(words).capitalize()


def _described_settings(section: type) -> Iterator[tuple[str, str, str]]:
    """Name, default ("" when unset) and meaning of each setting, in the order of declaration."""
    for field_name in _own(section):
        field = Settings.model_fields[field_name]
        if field.default is PydanticUndefined or not field.description:
            raise TypeError(f"{field_name} needs a default and a description")
        unset = field.default is None or field.default == ()
        default = "" if unset else str(field.default)
        if isinstance(field.default, bool):
            default = default.lower()
        elif isinstance(field.default, tuple):
            default = ",".join(map(str, field.default))
        yield field_name.upper(), default, field.description
