import json
from dataclasses import asdict
from hashlib import sha256

import pytest

from llm_api.core.rag.identity import content_hash, is_carried, new_document
from llm_api.core.rag.types import Document, TextSection


def hash_of(document: Document) -> tuple[str, int]:
    """The hash, and in how many steps it was made."""
    digesting, steps = content_hash(document, "200/30", "model"), 0
    while True:
        try:
            next(digesting)
        except StopIteration as end:
            return end.value, steps
        steps += 1


@pytest.mark.parametrize("text", ["", "a", 'quotes " and \\', "é😀\u2028" * 50_000, "x" * 200_000])
@pytest.mark.parametrize("sections", [0, 1, 3000])
def test_hash_is_that_of_the_whole_json_in_short_steps(text: str, sections: int) -> None:
    given = tuple(TextSection(n, (f"h{n}", 'a "b"'), n or None) for n in range(sections))
    document = Document("id", text, "Title", {"year": 2020}, given)
    whole = {
        "text": text,
        "title": "Title",
        "sections": [asdict(section) for section in given],
        "chunking": "200/30",
        "model": "model",
    }
    digest, steps = hash_of(document)
    assert digest == sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    assert steps > len(text) / 100_000 + sections / 2_000


def test_id_of_a_text_stays_what_it_was() -> None:
    whole = json.dumps({"text": "words", "title": ""}, sort_keys=True)
    assert new_document("words").id == sha256(whole.encode()).hexdigest()


@pytest.mark.parametrize(
    ("id", "carried"),
    [
        ("a", True),
        ("https://x.example/a/..b/.c?d=1", True),
        ("a b\u00a0👍🏽", True),
        ("a\nb", False),
        ("\x00", False),
        ("a\u2028", False),
        ("..", False),
        ("a/../b", False),
        ("a/.", False),
    ],
)
def test_id_is_carried_by_a_url_or_not(id: str, carried: bool) -> None:
    assert is_carried(id) is carried
