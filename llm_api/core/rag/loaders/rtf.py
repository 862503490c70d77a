"""RTF: its words, without their form. The one door of striprtf."""

from striprtf.striprtf import rtf_to_text

from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import LoadedText


def load_rtf(data: bytes) -> LoadedText:
    text: str = rtf_to_text(data.decode("latin-1"), errors="replace")  # type: ignore[no-untyped-call]
    return LoadedText(clean("\n".join(line.rstrip() for line in text.split("\n"))).strip())
