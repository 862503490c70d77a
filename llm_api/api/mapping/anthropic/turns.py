"""Messages, wire to domain: turns of blocks become the turns of a conversation. Pure.

An assistant's turn may hold calls that a server made in it, with their results: there it is cut.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from llm_api.api.mapping.anthropic.signatures import Signatures
from llm_api.api.mapping.generation import refuse
from llm_api.api.models.anthropic.blocks import (
    Base64Source,
    Block,
    CitedPlace,
    Content,
    ContentSource,
    DocumentBlock,
    FileSource,
    OtherBlock,
    OtherSource,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import Message, ToolCall
from llm_api.core.rag.answering.given import GivenSource, GivenSources, given_blocks
from llm_api.core.rag.types import Span

_BETWEEN: Final = "\n"
_BETWEEN_SYSTEM: Final = "\n\n"


@dataclass(slots=True)
class TurnReader:
    """Reads one conversation.

    `files` are the sources that are files, by the paths of their blocks. What of the request is
    not shown to the model is named in `ignored`; `links` are the `source` of each search result.
    """

    signatures: Signatures
    files: Mapping[str, GivenSource] = field(default_factory=dict)
    given: GivenSources = field(default_factory=GivenSources)
    ignored: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    _made: set[str] = field(default_factory=set)

    def read(
        self, system: str | Sequence[TextBlock] | None, turns: Sequence[Turn]
    ) -> tuple[Message, ...]:
        """The conversation.

        Raises InvalidRequestError for what contradicts itself, UnsupportedParameterError for what
        cannot be read; both name the parameter.
        """
        said = system if isinstance(system, str) else _joined(system or ())
        messages = [Message("system", said)] if said else []
        for index, turn in enumerate(turns):
            messages += self._turn(turn, f"messages[{index}].content")
        return tuple(messages)

    def _turn(self, turn: Turn, path: str) -> Iterator[Message]:
        if isinstance(turn.content, str):
            yield Message(turn.role, turn.content)
        elif turn.role == "assistant":
            yield from self._assistant(turn.content, path)
        elif turn.role == "user":
            yield from self._user(turn.content, path)
        else:
            yield Message("system", self._text(turn.content, path, _BETWEEN_SYSTEM))

    def _user(self, blocks: Sequence[Block], path: str) -> Iterator[Message]:
        texts: list[str] = []
        has_results = False
        for index, block in enumerate(blocks):
            place = f"{path}[{index}]"
            if not isinstance(block, ToolResultBlock):
                texts.append(self._shown(block, place))
                continue
            if texts:
                yield Message("user", _BETWEEN.join(texts))
                texts = []
            has_results = True
            yield self._result(block, place)
        if texts or not has_results:
            yield Message("user", _BETWEEN.join(texts))

    def _assistant(self, blocks: Sequence[Block], path: str) -> Iterator[Message]:
        turn = _Answer()
        for index, block in enumerate(blocks):
            place = f"{path}[{index}]"
            match block:
                case TextBlock():
                    turn.texts.append(block.text + self._markers(block.citations or ()))
                case ThinkingBlock():
                    self._think(turn, block.thinking, block.signature)
                case RedactedThinkingBlock():
                    self._think(turn, "", block.data)
                case ToolUseBlock():
                    turn.calls.append(self._call(block, place))
                case OtherBlock() if block.tool_use_id is not None:
                    yield from turn.ended()
                    turn = _Answer()
                    yield self._server_result(block, block.tool_use_id, place)
                case _:
                    _refuse_block(block, place)
        yield from turn.ended()

    def _think(self, turn: "_Answer", thought: str, signature: str) -> None:
        opened = self.signatures.opened(thought, signature)
        if opened is None:
            self.ignored.append("thinking")
        elif opened:
            turn.thoughts.append(opened)

    def _call(self, block: ToolUseBlock, place: str) -> ToolCall:
        if not isinstance(block.input, dict | None):
            raise InvalidRequestError(
                f"'{place}.input' should be an object.", param=f"{place}.input"
            )
        self._made.add(block.id)
        arguments = json.dumps(block.input or {}, ensure_ascii=False)
        return ToolCall(block.id, block.name, arguments)

    def _result(self, block: ToolResultBlock, place: str) -> Message:
        self._check_made(block.tool_use_id, place)
        text = "" if block.content is None else self._text(block.content, f"{place}.content")
        said = f"Error: {text}" if block.is_error else text
        return Message("tool", said, tool_call_id=block.tool_use_id)

    def _server_result(self, block: OtherBlock, call_id: str, place: str) -> Message:
        """What a tool gave that a server ran: its texts, or all of it as it is."""
        self._check_made(call_id, place)
        texts = [
            part["text"]
            for part in (block.content if isinstance(block.content, list) else ())
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        said = _BETWEEN.join(map(str, texts)) or json.dumps(block.content, ensure_ascii=False)
        return Message("tool", said, tool_call_id=call_id)

    def _check_made(self, call_id: str, place: str) -> None:
        if call_id not in self._made:
            raise InvalidRequestError(
                f"'{place}.tool_use_id' is that of no 'tool_use' block before it: '{call_id}'.",
                param=f"{place}.tool_use_id",
            )

    def _text(self, content: Content, path: str, between: str = _BETWEEN) -> str:
        if isinstance(content, str):
            return content
        shown = (self._shown(block, f"{path}[{at}]") for at, block in enumerate(content))
        return between.join(shown)

    def _shown(self, block: Block, place: str) -> str:
        """What the model reads of a block in a turn that is not its own, or in a result."""
        match block:
            case TextBlock(text=text):
                return text
            case DocumentBlock():
                source = self._source(block, place)
                return self.given.add(source, is_cited=block.is_cited, param=place)
            case SearchResultBlock():
                texts = [part.text for part in block.content]
                source = given_blocks(texts, block.title, sort="search_result")
                self.links.append(block.source)
                return self.given.add(source, is_cited=block.is_cited, param=place)
            case _:
                return _refuse_block(block, place)

    def _source(self, block: DocumentBlock, place: str) -> GivenSource:
        title, context = block.title or "", block.context or ""
        match block.source:
            case TextSource(data=text):
                return GivenSource(text, title, context)
            case Base64Source() | FileSource():
                return self.files[place]
            case ContentSource(content=content):
                texts = self._parts(content, f"{place}.source.content")
                return given_blocks(texts, title, context)
            case OtherSource(type=kind):
                return refuse(f"{place}.source.type", f"is '{kind}': send the document itself.")

    def _parts(self, content: Content, path: str) -> list[str]:
        """The texts of a document that comes in blocks."""
        if isinstance(content, str):
            return [content]
        return [
            block.text if isinstance(block, TextBlock) else _refuse_block(block, f"{path}[{at}]")
            for at, block in enumerate(content)
        ]

    def _markers(self, citations: Sequence[CitedPlace]) -> str:
        """How the answer named its sources when the model wrote it."""
        return "".join(map(self._marker, citations))

    def _marker(self, cited: CitedPlace) -> str:
        bounds = (
            (cited.start_char_index, cited.end_char_index),
            (cited.start_page_number, cited.end_page_number),
            (cited.start_block_index, cited.end_block_index),
        )
        for start, end in bounds:
            if start is not None and end is not None:
                place = Span(start, end)
                if cited.search_result_index is not None:
                    return self.given.marker("search_result", cited.search_result_index, place)
                if cited.document_index is not None:
                    return self.given.marker("document", cited.document_index, place)
        return ""


@dataclass(slots=True)
class _Answer:
    """An assistant's turn while its blocks are read."""

    thoughts: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def ended(self) -> Iterator[Message]:
        if self.thoughts or self.texts or self.calls:
            yield Message(
                "assistant",
                "".join(self.texts),
                tool_calls=tuple(self.calls),
                reasoning="\n\n".join(self.thoughts),
            )


def _joined(blocks: Sequence[TextBlock]) -> str:
    return _BETWEEN_SYSTEM.join(block.text for block in blocks)


def _refuse_block(block: Block, place: str) -> str:
    why = (
        "this server's models read text only." if block.type == "image" else "it has no place here."
    )
    return refuse(f"{place}.type", f"is '{block.type}': {why}")


FileDocument: TypeAlias = tuple[str, DocumentBlock, Base64Source | FileSource]


def file_documents(turns: Sequence[Turn]) -> Iterator[FileDocument]:
    """The documents that are files, as base64 or by an id, each with its path."""
    for index, turn in enumerate(turns):
        if not isinstance(turn.content, str):
            yield from _files_of(turn.content, f"messages[{index}].content")


def _files_of(blocks: Sequence[Block], path: str) -> Iterator[FileDocument]:
    for index, block in enumerate(blocks):
        place = f"{path}[{index}]"
        if isinstance(block, DocumentBlock) and isinstance(block.source, Base64Source | FileSource):
            yield place, block, block.source
        elif isinstance(block, ToolResultBlock) and isinstance(block.content, list):
            yield from _files_of(block.content, f"{place}.content")
