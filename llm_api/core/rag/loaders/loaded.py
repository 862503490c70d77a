"""What a loader gives, and the limits it works within. Pure values."""

from dataclasses import dataclass, field

from llm_api.core.rag.types import Metadata, Section


@dataclass(frozen=True, slots=True)
class LoadedText:
    """A file as text. `sections` point into `text`, as a `Document`'s do.

    `warnings` name in a sentence each what of the file is not in the text.
    """

    text: str
    title: str = ""
    sections: tuple[Section, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Past a limit it is refused, never cut.

    `expansion_ratio` is how many times its size an archive may unpack to; small ones are spared.
    """

    file_bytes: int = 50_000_000
    unpacked_bytes: int = 200_000_000
    expansion_ratio: int = 200
    pages: int = 5_000
    characters: int = 50_000_000
    seconds: float = 60.0
    memory_bytes: int = 2 << 30
