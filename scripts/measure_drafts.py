"""Tokens a second with a draft model and without, in turn."""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from statistics import median

from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling

CONTEXT = 1024
QUESTIONS = (
    "Tell me a story about a fox and a lighthouse.",
    "Explain how a bicycle stays upright.",
    "Write a Python function that parses a CSV line.",
    "What should one see in Rome in three days?",
)


async def measure(options: argparse.Namespace) -> None:
    """Print a line for each number of streams. Texts must be the same with drafts as without."""
    card = ModelCard("measured", 0, "scripts", CONTEXT)
    plain = LlamaOptions(
        CONTEXT, max(options.streams), 64, ContextOptions(options.threads), draft_tokens=0
    )
    drafted = replace(plain, draft_model=options.draft)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(options.model, card, plain, compute)) as without,
        aclosing(await open_llama(options.model, card, drafted, compute)) as with_drafts,
    ):
        for streams in options.streams:
            speeds = []
            for turn in range(options.rounds):
                requests = _requests(options, streams, turn)
                before, texts = await _speed(without, requests)
                after, same = await _speed(with_drafts, requests)
                speeds.append((before, after, after / before, texts == same))
            before, after, ratio = (median(one[at] for one in speeds) for at in range(3))
            is_same = all(one[3] for one in speeds)
            print(
                f"{streams} streams: {before:.1f} tokens/s without, {after:.1f} with drafts,"
                f" {ratio:.2f} times; texts {'the same' if is_same else 'DIFFER'}",
                flush=True,
            )


def _requests(options: argparse.Namespace, streams: int, turn: int) -> list[GenerationRequest]:
    sampling = Sampling(temperature=options.temperature, seed=5)
    return [
        GenerationRequest(
            ChatPrompt((Message("user", f"{QUESTIONS[(turn + index) % 4]} ({turn})"),)),
            options.tokens,
            sampling,
            ignore_eos=True,
        )
        for index in range(streams)
    ]


async def _speed(
    backend: Backend, requests: Sequence[GenerationRequest]
) -> tuple[float, list[str]]:
    """Tokens a second, prompts included, and the texts."""
    began = time.perf_counter()
    answers = await collect(fan_out(backend, requests), len(requests))
    seconds = time.perf_counter() - began
    tokens = sum(one.finished.usage.completion_tokens for one in answers)
    return tokens / seconds, [one.text for one in answers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=2)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
