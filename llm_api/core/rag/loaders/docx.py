"""DOCX: its text by way of HTML. The one door of mammoth."""

import io
import zipfile
from dataclasses import replace

import mammoth  # type: ignore[import-untyped]  # it ships no types

from llm_api.core.rag.loaders.docx_parts import readable_docx
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText


def load_docx(archive: zipfile.ZipFile, max_characters: int) -> LoadedText:
    readable, warnings = readable_docx(archive)
    result = mammoth.convert_to_html(
        io.BytesIO(readable),
        convert_image=lambda image: [],
        include_embedded_style_map=False,
        external_file_access=False,
    )
    loaded = load_html(result.value, max_characters)
    return replace(loaded, warnings=(*loaded.warnings, *warnings))
