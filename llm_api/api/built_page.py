"""The page as `make web` built it: its files, and the headers that keep it safe. Knows no route.

The Content-Security-Policy lets the page load from this server alone, run no script but its files',
and be shown in no frame. It covers what an answer or a document may smuggle past the page's own
sanitising; it does not cover what the API itself is asked with the person's key.
"""

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_api.api.middleware.served_path import prefix_of

_SECURITY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": _SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "vary": "Accept, Accept-Encoding",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}
_BASE: Final = '<base href="/" />'
"""Where the page looks for its files; below a proxy's path, that stands here."""


@dataclass(frozen=True, slots=True)
class _Asset:
    media_type: str
    plain: bytes
    zipped: bytes

    def response(self, sent: Mapping[str, str], cache: str) -> Response:
        is_zipped = "gzip" in sent.get("accept-encoding", "")
        body = self.zipped if is_zipped else self.plain
        headers = {**_HEADERS, "cache-control": cache}
        if is_zipped:
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type=self.media_type)


class BuiltPage:
    """The files of one folder: `index.html`, and `assets`. A file is read when it is first asked.

    They are kept, compressed as well: about 3 MB once the PDF viewer has been asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._assets: dict[str, _Asset] = {}
        self._names = frozenset(path.name for path in (folder / "assets").glob("*"))

    async def index(self, request: Request) -> Response:
        """The page itself, which is asked for anew each time. Knows the prefix of a proxy."""
        prefix, sent = prefix_of(request.scope), request.headers
        text = await asyncio.to_thread((self._folder / "index.html").read_text, encoding="utf-8")
        body = text.replace(_BASE, f'<base href="{escape(prefix)}/" />').encode()
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {**_HEADERS, "cache-control": "no-cache", "etag": tag}
        if tag in sent.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="text/html")

    async def asset(self, name: str, sent: Mapping[str, str]) -> Response | None:
        """A file that the page loads; None where there is none of this name."""
        if name not in self._names:
            return None
        if name not in self._assets:
            path = self._folder / "assets" / name
            self._assets[name] = await asyncio.to_thread(_read, path)
        return self._assets[name].response(sent, _FOR_GOOD)


def _read(path: Path) -> _Asset:
    media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    content = path.read_bytes()
    return _Asset(media_type, content, gzip.compress(content, mtime=0))
