"""Text out of pictures of it (OCR), by RapidOCR. The one door of rapidocr and Pillow.

Its models come with its package: nothing is fetched. One model reads Latin, Chinese and Japanese
script. Does not cover: other scripts, handwriting, pages that lie on their side.
"""

import functools
import io
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText, TextBuilder
from llm_api.core.rag.loaders.page_layout import Line, PlacedText, joined, laid_out, lines_of

MOST_PIXELS: Final = 12_000_000  # of a page at 300 dots to the inch, A4 has 8.7
_MOST_IMAGE_PIXELS: Final = 100_000_000
_FORMATS: Final = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")

Picture = NDArray[np.uint8]
"""Rows of pixels, each blue, green and red."""


class Recogniser:
    """Reads pictures until the time for a file is over."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self._ends_at

    def lines(self, picture: Picture) -> list[Line]:
        """The text in the order it is read in; blocks for seconds, whatever time is left."""
        words = list(_segments(_engine()(np.ascontiguousarray(picture))))
        lines = laid_out(words)
        if lines is None:
            rows = (joined(line) for line in lines_of(words))
            lines = [Line(" ".join(one.text for one in row)) for row in rows]
        return lines


def load_image(data: bytes, limits: FileLimits) -> LoadedText:
    """Raises `UnreadableFileError` where it is damaged."""
    recogniser = Recogniser(limits.ocr_seconds)
    builder = TextBuilder(limits.characters)
    unread = pages = 0
    for pages, picture in enumerate(_pictures(data, limits), 1):
        if not recogniser.has_time:
            unread += 1
            continue
        builder.begin_section((), pages)
        lines = recogniser.lines(picture)
        builder.add("".join(f"{line.text}\n" for line in lines) + "\n" if lines else "")
    warnings = ["Its text was recognised (OCR), and may differ from what is written."]
    if unread:
        warnings.append(f"Pages for which RAG_OCR_SECONDS left no time, not read: {unread:,}.")
    return builder.build(metadata={"pages": pages}, warnings=warnings)


def _pictures(data: bytes, limits: FileLimits) -> Iterator[Picture]:
    """Each page of an image file, upright and not too large."""
    from PIL import Image, ImageOps, ImageSequence  # noqa: PLC0415 - with the extra `ocr` alone

    Image.MAX_IMAGE_PIXELS = _MOST_IMAGE_PIXELS // 2  # what has twice as many raises
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            for number, page in enumerate(ImageSequence.Iterator(image), 1):
                if number > limits.pages:
                    raise UnreadableFileError(f"it has more than {limits.pages:,} pages")
                upright = ImageOps.exif_transpose(page).convert("RGB")
                if (share := MOST_PIXELS / (upright.width * upright.height)) < 1:
                    upright.thumbnail(
                        (int(upright.width * share**0.5), int(upright.height * share**0.5))
                    )
                yield np.asarray(upright)[:, :, ::-1]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableFileError(
            f"the image is damaged, or too large ({type(error).__name__})"
        ) from error


@functools.cache
def _engine() -> Any:
    """The models, loaded in about a second."""
    from rapidocr import RapidOCR  # noqa: PLC0415 - as above

    return RapidOCR(params={"Global.log_level": "critical"})


def _segments(found: Any) -> Iterator[PlacedText]:
    """What was recognised, as it would stand in a PDF: `y` grows upwards."""
    if found.txts is None:
        return
    for box, text in zip(found.boxes, found.txts, strict=True):
        xs, ys = box[:, 0], box[:, 1]
        if words := clean(text).strip():
            yield PlacedText(
                float(xs.min()), -float(ys.max()), float(xs.max()), -float(ys.min()), words
            )
