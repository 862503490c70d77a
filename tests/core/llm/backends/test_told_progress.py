"""What another server tells of a prompt that it reads, in all the forms that it may have."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from llm_api.core.llm.backends.told_progress import ToldProgress
from llm_api.core.llm.progress import Journey, Progress

LLAMA_SERVER = {"total": 900, "cache": 100, "processed": 300, "time_ms": 2000}
OURS = LLAMA_SERVER | {"place_in_queue": 0, "tokens_per_second": 50.0, "seconds_left": 12.5}
READING = Progress(
    -1,
    "reading",
    900,
    100,
    300,
    0,
    64,
    read_seconds=2.0,
    tokens_per_second=100.0,
    seconds_left=6.0,
)


def told(*said: Any, written: int = 0) -> Progress | None:
    journey = Journey()
    progress = ToldProgress(journey, 64)
    for one in said:
        progress.take(one)
    progress.write(written)
    return journey.progress()


@pytest.mark.parametrize(
    ("said", "progress"),
    [
        (LLAMA_SERVER, READING),
        (OURS, replace(READING, tokens_per_second=50.0, seconds_left=12.5)),
        (
            OURS | {"place_in_queue": 2, "processed": 100, "seconds_left": None},
            replace(
                READING,
                state="waiting",
                read_tokens=100,
                place_in_queue=2,
                tokens_per_second=50.0,
                seconds_left=None,
            ),
        ),
        (
            LLAMA_SERVER | {"processed": 100, "time_ms": 0},
            replace(
                READING,
                read_tokens=100,
                read_seconds=0.0,
                tokens_per_second=None,
                seconds_left=None,
            ),
        ),
    ],
)
def test_it_is_our_progress(said: dict[str, Any], progress: Progress) -> None:
    assert told(said) == progress


def test_the_last_word_counts_until_the_answer_is_written() -> None:
    later = LLAMA_SERVER | {"processed": 800, "time_ms": 7000}
    assert told(LLAMA_SERVER, later) == replace(
        READING, read_tokens=800, read_seconds=7.0, seconds_left=1.0
    )
    assert told(later, written=3) == replace(
        READING,
        state="writing",
        read_tokens=900,
        written_tokens=3,
        read_seconds=7.0,
        tokens_per_second=None,
        seconds_left=None,
    )


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "half",
        [],
        {},
        LLAMA_SERVER | {"total": "many"},
        LLAMA_SERVER | {"total": 200},
        LLAMA_SERVER | {"cache": -1},
        LLAMA_SERVER | {"processed": 50},
        LLAMA_SERVER | {"time_ms": math.nan},
        LLAMA_SERVER | {"total": math.inf},
        LLAMA_SERVER | {"total": 10**400},
        LLAMA_SERVER | {"seconds_left": []},
        LLAMA_SERVER | json.loads('{"place_in_queue": 1e999}'),
    ],
)
def test_what_has_another_form_is_passed_over(odd: object) -> None:
    assert told(odd) is None
    assert told(LLAMA_SERVER, odd) == READING
