"""Source code: the text as it is, a section for each function and class that can be told by a line.

Covers declarations that begin with a keyword, as in Python, JavaScript, Go, Rust, PHP, Ruby and
Kotlin; not those of C, C++ or Java that only a parser can tell.
"""

import re
from typing import Final

from llm_api.core.rag.loaders.loaded import HeadingPath, LoadedText
from llm_api.core.rag.types import TextSection

_DECLARATION: Final = re.compile(
    r"^(?P<indent>[ \t]{0,40})"
    r"(?:(?:pub(?:\([a-z]+\))?|export|default|async|static|abstract|final|public|private|protected"
    r"|internal|open|data|sealed|unsafe) ){0,4}"
    r"(?:def|class|function|fn|func|fun|interface|struct|enum|trait|impl|module|namespace)\*? +"
    r"(?:\([^()\n]{1,80}\) *)?(?P<name>[\w.:$]+)",
    re.MULTILINE,
)


def load_code(text: str) -> LoadedText:
    path = HeadingPath()
    return LoadedText(
        text,
        sections=tuple(
            TextSection(
                found.start(), path.enter(len(found["indent"].expandtabs(4)), found["name"])
            )
            for found in _DECLARATION.finditer(text)
        ),
    )
