"""The page that is committed: built from the sources beside it, and small."""

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WEB = ROOT / "web"
BUILT = ROOT / "llm_api/api/page"
SOURCES = ("index.html", "package.json", "sources.mjs", "src", "tsconfig.json", "vite.config.ts")


def digest_of_sources() -> str:
    """What `web/sources.mjs` computes."""
    paths = [path for name in SOURCES for path in (WEB / name).rglob("*") if path.is_file()]
    paths += [WEB / name for name in SOURCES if (WEB / name).is_file()]
    digest = sha256()
    for path in sorted({path.relative_to(WEB).as_posix() for path in paths}):
        digest.update(f"{path}\n".encode() + (WEB / path).read_bytes())
    return digest.hexdigest()


def test_built_page_is_that_of_its_sources() -> None:
    built_from = (BUILT / "sources.sha256").read_text(encoding="utf-8").strip()
    assert built_from == digest_of_sources(), "web/ has changed; run: make web"


def test_everything_but_the_pdf_viewer_is_under_300_kb_compressed() -> None:
    files = [path for path in BUILT.glob("assets/*") if not path.name.startswith("pdf")]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in files}
    assert len(files) > 3
    assert sum(sizes.values()) < 300_000, sizes


def test_page_names_no_other_server_and_runs_no_inline_script() -> None:
    index = (BUILT / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)=\"(?!\./|/\")", index) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", index) == []


def test_what_the_page_is_built_with_is_pinned() -> None:
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    pins = {**package["dependencies"], **package["devDependencies"], **package["overrides"]}
    assert [name for name, version in pins.items() if not re.fullmatch(r"[\d.]+", version)] == []
    assert not (WEB / "package-lock.json").exists(), "it would name a registry"
