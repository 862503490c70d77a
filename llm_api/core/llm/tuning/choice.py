"""Which of the measured files may be run instead of a model's own without asking. Pure.

Only one that is faster and about as good: a person who wants more speed for less quality is told
what there is, and decides.
"""

from collections.abc import Sequence
from typing import Final

from llm_api.core.llm.tuning.comparison import NOISE, ComparedFile

MOST_PERPLEXITY: Final = 0.005
"""Change of the perplexity up to which weights count as as good, if it is known so exactly."""

LEAST_DECODE: Final = 0.97
"""An answer may not be written slower than this, whatever is gained with prompts."""

WORTH_SAYING: Final = 1.15
"""How many times as fast as what is chosen something must be to be advised."""


def as_good_and_faster(results: Sequence[ComparedFile]) -> ComparedFile | None:
    """The fastest of the files but the first that is as good as the first; None where none is."""
    good = [
        one
        for one in results[1:]
        if one.perplexity_change <= MOST_PERPLEXITY
        and one.perplexity_error <= MOST_PERPLEXITY
        and one.decode_ratio >= LEAST_DECODE
        and one.request_ratio > NOISE
    ]
    return max(good, key=lambda one: one.request_ratio, default=None)


def advised(results: Sequence[ComparedFile], chosen: ComparedFile | None) -> ComparedFile | None:
    """What is faster still at the price of quality; None where that is not worth a word."""
    least = WORTH_SAYING * (chosen.request_ratio if chosen else 1.0)
    others = [one for one in results[1:] if one is not chosen and one.request_ratio > least]
    return max(others, key=lambda one: one.request_ratio, default=None)


def in_a_line(results: Sequence[ComparedFile], original: str) -> str:
    """What was measured and what becomes of it; `original` is the quantisation of the first."""
    chosen = as_good_and_faster(results)
    said = f"nothing as good as {original} is faster here: it is run as it is"
    if chosen is not None:
        said = (
            f"{chosen.name} {_speed(chosen)} as {original}, perplexity"
            f" {chosen.perplexity_change:+.1%}: kept beside the original; WEIGHTS=original"
            " switches back"
        )
    if (other := advised(results, chosen)) is not None:
        said += (
            f" ({other.name} {_speed(other)}, perplexity {other.perplexity_change:+.1%}:"
            f" `llm-api models optimize --keep {other.name.lower()}`)"
        )
    return said


def _speed(one: ComparedFile) -> str:
    return (
        f"reads prompts {one.prefill_ratio:.2f} times as fast here and writes"
        f" {one.decode_ratio:.2f} times as fast"
    )
