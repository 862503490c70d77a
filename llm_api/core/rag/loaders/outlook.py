"""Mail as Outlook keeps it (MSG), made the mail that `mail` reads. The one door of olefile.

[MS-OXMSG]: a file of streams, each a property by its number and type. Covers: headers, the body as
plain words, HTML or compressed RTF, names of attachments. Does not cover: what is attached, and the
fields that appointments and contacts have of their own.
"""

import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import HeaderParser
from email.policy import default
from typing import Final

import olefile  # type: ignore[import-untyped]  # it ships no types

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean, decode
from llm_api.core.rag.loaders.loaded import LoadedText
from llm_api.core.rag.loaders.mail import HEADERS, load_message
from llm_api.core.rag.loaders.rtf import load_rtf

# Numbers of properties, and their types.
_INTEGER, _TIME, _UNICODE, _TEXT, _BINARY = 0x0003, 0x0040, 0x001F, 0x001E, 0x0102
_SUBJECT, _TO, _CC, _SENDER = 0x0037, 0x0E04, 0x0E03, 0x0C1A
_TRANSPORT, _BODY, _HTML, _RTF = 0x007D, 0x1000, 0x1013, 0x1009
_ADDRESSES: Final = (0x5D01, 0x0C1F)
_TIMES: Final = (0x0039, 0x0E06)  # sent, received
_CODE_PAGES: Final = (0x3FDE, 0x3FFD)
_FILE_NAMES: Final = (0x3707, 0x3704, 0x3001)

_PROPERTIES: Final = "__properties_version1.0"
_HEAD_BYTES: Final = 32  # before the first property of a message
_ATTACHMENT: Final = "__attach_version1.0_"
_UTF8: Final = 65001

_KNOWN_RTF: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What compressed RTF may refer back to before its first byte ([MS-OXRTFCP])."""
_COMPRESSED: Final = b"LZFu"
_WINDOW: Final = 4096


def load_outlook(data: bytes, max_characters: int) -> LoadedText:
    """Raises `UnreadableFileError` for what is damaged, or no message."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            return load_message(_mail(_Properties(ole), max_characters), max_characters)
    except OSError as error:  # olefile's own
        raise UnreadableFileError("it is damaged: no whole Outlook message") from error


class _Properties:
    """Those of the message, and the names of what is attached."""

    def __init__(self, ole: "olefile.OleFileIO") -> None:
        self._ole = ole
        if not (table := self._stream(_PROPERTIES)):
            raise UnreadableFileError(
                "files of Office 97 are not supported: save as DOCX, XLSX or PPTX"
            )
        self._fixed = {
            int.from_bytes(table[at : at + 4], "little"): table[at + 8 : at + 16]
            for at in range(_HEAD_BYTES, len(table) - 15, 16)
        }
        page = next(filter(None, (self._number(one, _INTEGER) for one in _CODE_PAGES)), 0)
        self.charset = "utf-8" if page == _UTF8 else f"cp{page}" if page else ""

    def text(self, number: int, folder: str = "") -> str:
        if wide := self._stream(f"{folder}__substg1.0_{number:04X}{_UNICODE:04X}"):
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"{folder}__substg1.0_{number:04X}{_TEXT:04X}").rstrip(b"\0")
        return decode(narrow, self.charset).text if narrow else ""

    def binary(self, number: int) -> bytes:
        return self._stream(f"__substg1.0_{number:04X}{_BINARY:04X}")

    def date(self) -> str:
        """As mail writes it; empty where nothing says when it was sent."""
        ticks = next(filter(None, (self._number(one, _TIME) for one in _TIMES)), 0)
        try:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return f"{moment:%a, %d %b %Y %H:%M:%S +0000}" if ticks else ""

    def attached(self) -> Iterator[str]:
        paths = (path[0] for path in self._ole.listdir())
        for folder in dict.fromkeys(path for path in paths if path.startswith(_ATTACHMENT)):
            names = (self.text(number, f"{folder}/") for number in _FILE_NAMES)
            yield next(filter(None, map(_line, names)), "an attachment")

    def _stream(self, path: str) -> bytes:
        if self._ole.get_type(path) != olefile.STGTY_STREAM:
            return b""
        with self._ole.openstream(path) as stream:
            data: bytes = stream.read()
        return data

    def _number(self, number: int, kind: int) -> int:
        value = self._fixed.get(number << 16 | kind, b"")
        return int.from_bytes(value[:4] if kind == _INTEGER else value, "little")


def _mail(found: _Properties, max_characters: int) -> EmailMessage:
    mail = EmailMessage()
    shown = {
        "Subject": found.text(_SUBJECT),
        "From": _sender(found),
        "To": found.text(_TO).replace("; ", ", "),
        "Cc": found.text(_CC).replace("; ", ", "),
        "Date": found.date(),
    }
    # What came over the wire names addresses, where Outlook keeps the names that it shows.
    sent = HeaderParser(policy=default).parsestr(found.text(_TRANSPORT))
    for name in HEADERS:
        if line := _line(str(sent.get(name, ""))) or _line(shown[name]):
            mail[name] = line
    _add_body(mail, found, max_characters)
    for name in found.attached():
        mail.add_attachment(b"", "application", "octet-stream", filename=name)
    return mail


def _line(words: str) -> str:
    return clean(" ".join(words.split()))


def _sender(found: _Properties) -> str:
    name = found.text(_SENDER)
    address = next(filter(None, map(found.text, _ADDRESSES)), "")
    return f"{name} <{address}>" if "@" in address and address != name else name


def _add_body(mail: EmailMessage, found: _Properties, max_characters: int) -> None:
    """The plain words; where there are none, those of the HTML, and then of the RTF."""
    if found.text(_BODY).strip():
        mail.set_content(found.text(_BODY), cte="8bit")
    elif markup := found.binary(_HTML) or found.text(_HTML).encode():
        mail.set_content(decode(markup, found.charset).text, "html", cte="8bit")
    elif packed := found.binary(_RTF):
        mail.set_content(load_rtf(_unpacked(packed, max_characters)).text, cte="8bit")


def _unpacked(packed: bytes, max_characters: int) -> bytes:
    """RTF out of [MS-OXRTFCP]: bytes as they are, and pairs that refer back into a window."""
    size, kind = struct.unpack_from("<I4s", packed, 4)
    if kind != _COMPRESSED:
        return packed[16 : 16 + size]
    done = bytearray(_KNOWN_RTF)
    most = len(done) + min(size, max_characters)
    at = 16
    while at < len(packed) and len(done) < most:
        flags, at = packed[at], at + 1
        for bit in range(8):
            if at + 1 >= len(packed) or len(done) >= most:
                return bytes(done[len(_KNOWN_RTF) :])
            if not flags >> bit & 1:
                done.append(packed[at])
                at += 1
                continue
            pair = int.from_bytes(packed[at : at + 2], "big")
            at += 2
            back = (len(done) - (pair >> 4)) % _WINDOW
            if not back:  # it refers to where it stands: the end
                return bytes(done[len(_KNOWN_RTF) :])
            for _ in range((pair & 15) + 2):
                done.append(done[-back] if back <= len(done) else 0x20)
    return bytes(done[len(_KNOWN_RTF) :])
