"""Files of every kind, whole, damaged and made up: a text, or one line that says why none."""

from scripts.fuzz.files import opened
from scripts.fuzz.rounds import run_round

EXAMPLES = 1_500


def test_whatever_is_uploaded_is_read_or_refused() -> None:
    with opened() as target:
        run_round(target, number=1, examples=EXAMPLES)
