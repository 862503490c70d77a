"""Several files of one model measured in turn, round by round, against the first of them.

In turn, because a machine's speed drifts; one file in memory at a time, because two may not fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.tuning.measure import (
    CHUNK_TOKENS,
    Speed,
    Workload,
    open_gauge,
    perplexity,
    perplexity_change,
)

ANSWER_TOKENS = 128
"""Length of the answer in the request by which files are ranked; its prompt is the workload's."""

NOISE = 1.05
"""A gain below this factor is not told from the machine's own unrest."""


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """Medians over the rounds. The ratios are to the first file in the same round.

    `request_ratio` is how many times as fast as the first file a whole request is answered.
    `perplexity_error` is the standard error of `perplexity_change`, which is relative.
    """

    name: str
    speed: Speed
    prefill_ratio: float
    decode_ratio: float
    request_ratio: float
    perplexity: float
    perplexity_change: float
    perplexity_error: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured: the text to score, the workload, and how often."""

    text: str
    workload: Workload
    rounds: int = 5


def compare(
    files: Sequence[tuple[str, Path]],
    trial: Trial,
    options: ModelOptions,
    on_step: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
) -> list[ComparedFile]:
    """Measure each (name, file); results in the same order. Blocks for minutes.

    `on_step` hears which file was measured, and how many steps of how many are done. Raises
    ModelFileError, GenerationError, and InvalidRequestError for a text too short to score.
    """
    speeds: dict[str, list[Speed]] = {name: [] for name, _ in files}
    losses: dict[str, NDArray[np.float64]] = {}
    done = 0
    total = len(files) * trial.rounds
    for turn in range(trial.rounds):
        for name, path in files:
            with open_gauge(path, options, trial.workload) as gauge:
                tokens = gauge.tokens(trial.text)
                if len(tokens) < 2:
                    raise InvalidRequestError("The text is too short to score.")
                speeds[name].append(gauge.speed(tokens))
                done += 1
                on_step(name, done, total)
                if turn == 0:
                    total += 0 if done > 1 else len(files) * -(-len(tokens) // CHUNK_TOKENS)
                    chunks = []
                    for chunk in gauge.losses(tokens):
                        chunks.append(chunk)
                        done += 1
                        on_step(name, min(done, total), total)
                    losses[name] = np.concatenate(chunks)
    first = files[0][0]
    return [
        summarise(name, speeds[name], speeds[first], losses[name], losses[first])
        for name, _ in files
    ]


def summarise(
    name: str,
    speeds: Sequence[Speed],
    reference_speeds: Sequence[Speed],
    losses: NDArray[np.float64],
    reference_losses: NDArray[np.float64],
) -> ComparedFile:
    """One file's rounds against those of the reference. Pure."""
    pairs = list(zip(speeds, reference_speeds, strict=True))
    change, error = perplexity_change(reference_losses, losses)
    return ComparedFile(
        name=name,
        speed=Speed(
            median(speed.prefill for speed in speeds), median(speed.decode for speed in speeds)
        ),
        prefill_ratio=median(speed.prefill / other.prefill for speed, other in pairs),
        decode_ratio=median(speed.decode / other.decode for speed, other in pairs),
        request_ratio=median(_request_seconds(b) / _request_seconds(a) for a, b in pairs),
        perplexity=perplexity(losses),
        perplexity_change=change,
        perplexity_error=error,
    )


def fastest(results: Sequence[ComparedFile]) -> ComparedFile:
    """The first file, unless another answers a request faster by more than noise. Pure."""
    best = max(results, key=lambda result: result.request_ratio)
    return best if best.request_ratio > NOISE else results[0]


def _request_seconds(speed: Speed) -> float:
    return Workload(1).prompt_tokens / speed.prefill + ANSWER_TOKENS / speed.decode
