"""Texts to embed or to store, and what became of the requests with them."""

import random
from collections.abc import Mapping, Sequence

from scripts.bench.connection import Reply
from scripts.bench.scenarios.scenario import Sample, Turn


def passages(
    turn: Turn, count: int, tokens: tuple[int, int], seed: int | str, *key: str
) -> list[str]:
    """Words of their own for each key; lengths alike between both bounds, the same by `seed`."""
    choose = random.Random(seed)  # noqa: S311 - reproducible
    return [
        turn.desk.text(choose.randint(*tokens), *key, turn.round_number, index)
        for index in range(count)
    ]


def reply_sample(replies: Sequence[Reply], figures: Mapping[str, float]) -> Sample:
    """Figures, and how many of the answers behind them were none. Pure."""
    return Sample(figures, lost=sum(reply.status != 200 for reply in replies))
