"""What a client calls a file, made harmless: its name and its type. Pure."""

import re
import unicodedata
from email.message import Message
from typing import Final

from llm_api.core.errors import InvalidRequestError

MAX_NAME_CHARACTERS: Final = 255
UNKNOWN_TYPE: Final = "application/octet-stream"
_NAME: Final = r"[a-z0-9!#$&^_.+-]{1,64}"


def bare_name(given: str) -> str:
    """The name without folders and control characters. Raises InvalidRequestError for none."""
    last = re.split(r"[/\\]", given)[-1]
    name = "".join(one for one in last if unicodedata.category(one)[0] != "C").strip()
    if not name.strip("."):
        raise InvalidRequestError("The file needs a name, such as 'notes.txt'.", param="file")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidRequestError(
            f"A file's name has {MAX_NAME_CHARACTERS} characters at most.", param="file"
        )
    return name


def known_type(given: str | None) -> str:
    """The media type, with its charset if it names one; of bytes where it is no media type."""
    header = Message()
    header["content-type"] = (given or "")[:MAX_NAME_CHARACTERS]
    essence = str(header["content-type"]).partition(";")[0].strip().lower()
    if not re.fullmatch(f"{_NAME}/{_NAME}", essence):
        return UNKNOWN_TYPE
    charset = header.get_content_charset("")
    return f"{essence}; charset={charset}" if re.fullmatch(_NAME, charset) else essence
