"""What a loader gives, what puts it together, and the limits it works within."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.types import Metadata, TextSection


@dataclass(frozen=True, slots=True)
class LoadedText:
    """A file as text. `sections` point into `text`, as a `Document`'s do.

    `warnings` name in a sentence each what of the file is not in the text.
    """

    text: str
    title: str = ""
    sections: tuple[TextSection, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What one file may cost. Past a limit it is refused, never cut.

    `expansion_ratio` is how many times its size an archive may unpack to; small ones are spared.
    `ocr_seconds`, within `seconds`, may be spent on recognising the text of pictures: what there
    was no time for is named. 0: none is recognised.
    """

    file_bytes: int = 50_000_000
    unpacked_bytes: int = 200_000_000
    expansion_ratio: int = 200
    pages: int = 5_000
    characters: int = 50_000_000
    seconds: float = 60.0
    memory_bytes: int = 2 << 30
    ocr_seconds: float = 0.0


class HeadingPath:
    """The headings that a place stands under, while a document is read from top to bottom."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> tuple[str, ...]:
        """The path below a heading of this level: it ends all of the same level and deeper."""
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, title))
        return self.headings

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(heading for _, heading in self._path)


@dataclass(slots=True)
class TextBuilder:
    """A text that grows to `max_characters` and no further."""

    max_characters: int
    length: int = 0
    sections: list[TextSection] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Append; raises `UnreadableFileError` when it gets too long."""
        self._parts.append(text)
        self.length += len(text)
        if self.length > self.max_characters:
            raise UnreadableFileError(f"it holds more than {self.max_characters:,} characters")

    def add_loaded(self, loaded: LoadedText) -> None:
        """Append a text with its sections. Raises as `add`."""
        for section in loaded.sections:
            self.begin_section(section.headings, section.page, start=self.length + section.start)
        self.add(loaded.text)

    def begin_section(
        self, headings: tuple[str, ...], page: int | None = None, *, start: int | None = None
    ) -> None:
        """These headings stand above the text from here, or from `start`, on."""
        section = TextSection(self.length if start is None else start, headings, page)
        if self.sections and self.sections[-1].start == section.start:
            self.sections.pop()
        self.sections.append(section)

    def build(
        self,
        title: str = "",
        metadata: Metadata | None = None,
        warnings: Sequence[str] = (),
    ) -> LoadedText:
        text = "".join(self._parts)
        return LoadedText(text, title, tuple(self.sections), metadata or {}, tuple(warnings))
