"""G to K: embeddings, against calling `SentenceTransformer.encode` behind FastAPI."""

import asyncio
import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.bench.connection import Connection, Reply, connect
from scripts.bench.contestants import OURS, PLAIN
from scripts.bench.embedding_client import embed, read_vectors
from scripts.bench.requests import Desk
from scripts.bench.scenarios.scenario import OURS_ALONE, Claim, Sample, Scenario, Turn
from scripts.bench.scenarios.texts import passages, reply_sample
from scripts.bench.statistics import percentile, rank_correlation

CLIENTS = 16
SENTENCE_TOKENS = 12
REQUESTS = 1600
QUICK_REQUESTS = 160
WARM_UP_REQUESTS = 4
"""Of each client: the first opens the model, which takes seconds."""

PASSAGES = 2000
QUICK_PASSAGES = 200
PASSAGE_TOKENS = (20, 160)

IDLE_QUERIES = 200
PAUSE_SECONDS = 0.02
"""Between two queries of one person."""

EXACTNESS_TEXTS = 200
LARGEST_REQUEST = 2048

RATE = "requests/s"
PASSAGE_RATE = "passages/s"
IDLE = "idle query, ms"
DURING = "p95 of a query meanwhile, ms"
SHARE = "p95 meanwhile / idle"
MEAN_COSINE = "mean cosine to float32"
WORST_COSINE = "worst cosine to float32"
SPEARMAN = "Spearman"


async def _concurrent(turn: Turn) -> Sample:
    count = QUICK_REQUESTS if turn.is_quick else REQUESTS

    async def client(number: int, phase: str, requests: int) -> list[Reply]:
        async with connect(turn.desk.port) as connection:
            return [
                await embed(connection, _sentence(turn, "G", phase, number, index))
                for index in range(requests)
            ]

    async def all_clients(phase: str, requests: int) -> list[Reply]:
        parts = await asyncio.gather(*(client(one, phase, requests) for one in range(CLIENTS)))
        return [answer for part in parts for answer in part]

    await all_clients("warm-up", WARM_UP_REQUESTS)
    began = time.perf_counter()
    answers = await all_clients("measured", count // CLIENTS)
    return reply_sample(answers, {RATE: len(answers) / (time.perf_counter() - began)})


async def _bulk(turn: Turn) -> Sample:
    async with connect(turn.desk.port) as connection:
        await _warm_up(turn, connection)
        texts = _passages(turn, "H")
        answer = await embed(connection, texts)
    return reply_sample([answer], {PASSAGE_RATE: len(texts) / answer.seconds})


async def _query_meanwhile(turn: Turn) -> Sample:
    """Idle and then during a bulk, one query after the other, with a pause between two."""
    port = turn.desk.port
    async with connect(port) as connection, connect(port) as bulk_connection:
        await _warm_up(turn, connection)
        idle = [await _query(turn, connection, "idle", index) for index in range(IDLE_QUERIES)]
        bulk = asyncio.create_task(embed(bulk_connection, _passages(turn, "I")))
        meanwhile: list[Reply] = []
        while not bulk.done():
            meanwhile.append(await _query(turn, connection, "meanwhile", len(meanwhile)))
        answers = [*idle, *meanwhile, await bulk]
    usual = percentile([answer.seconds for answer in idle], 50)
    slow = percentile([answer.seconds for answer in meanwhile], 95)
    return reply_sample(answers, {SHARE: slow / usual, IDLE: 1000 * usual, DURING: 1000 * slow})


async def _exactness(turn: Turn) -> Sample:
    """Our vectors against those of the plain server, which computes in float32."""
    if PLAIN not in turn.desks:
        return Sample({})
    texts = [_sentence(turn, "J", index) for index in range(EXACTNESS_TEXTS // 2)]
    texts += _passages(turn, "J")[: EXACTNESS_TEXTS // 2]
    answers = [await _ask_once(turn.desks[name], texts) for name in (OURS, PLAIN)]
    cosines = _cosines(*map(read_vectors, answers))
    return reply_sample(
        answers, {MEAN_COSINE: float(cosines.mean()), WORST_COSINE: float(cosines.min())}
    )


async def _similarity(turn: Turn) -> Sample:
    """Rank correlation of our cosines with people's judgements of the same pairs."""
    if turn.sts is None:
        return Sample({})
    ones, others, judged = _read_pairs(turn.sts)
    answers = [await _ask_once(turn.desk, side) for side in (ones, others)]
    cosines = _cosines(*map(read_vectors, answers))
    return reply_sample(answers, {SPEARMAN: rank_correlation(cosines.tolist(), judged)})


def _read_pairs(path: Path) -> tuple[list[str], list[str], list[float]]:
    """Two sentences and a grade in each line. Raises OSError or ValueError."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if len(rows) > LARGEST_REQUEST:
        raise ValueError(f"{path} has more than {LARGEST_REQUEST} pairs")
    ones, others, grades = zip(*rows, strict=True)
    return list(ones), list(others), [float(grade) for grade in grades]


async def _ask_once(desk: Desk, texts: Sequence[str]) -> Reply:
    async with connect(desk.port) as connection:
        return await embed(connection, texts)


async def _warm_up(turn: Turn, connection: Connection) -> None:
    for index in range(WARM_UP_REQUESTS):
        await embed(connection, _sentence(turn, "warm-up", index))


async def _query(turn: Turn, connection: Connection, phase: str, index: int) -> Reply:
    answer = await embed(connection, _sentence(turn, "I", phase, index))
    await asyncio.sleep(PAUSE_SECONDS)
    return answer


def _sentence(turn: Turn, *key: str | int) -> str:
    return turn.desk.text(SENTENCE_TOKENS, *key, turn.round_number)


def _passages(turn: Turn, key: str) -> list[str]:
    """The same for every contestant."""
    count = QUICK_PASSAGES if turn.is_quick else PASSAGES
    return passages(turn, count, PASSAGE_TOKENS, f"{key}/{turn.round_number}", key)


def _cosines(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    one, other = some.astype(np.float64), others.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / lengths)


SINGLE_SENTENCES = Scenario(
    key="G",
    title="embeddings: single sentences, 16 requests at a time",
    measure=_concurrent,
    claims=(Claim(RATE, "requests/s", "at least", 3.0, 6.0, against=PLAIN),),
    contestants=(OURS, PLAIN),
)

MANY_PASSAGES = Scenario(
    key="H",
    title="embeddings: 2,000 passages of 20 to 160 words in one request",
    measure=_bulk,
    claims=(Claim(PASSAGE_RATE, "passages/s", "at least", 1.3, 2.5, against=PLAIN),),
    contestants=(OURS, PLAIN),
)

QUERY_MEANWHILE = Scenario(
    key="I",
    title="embeddings: a single query while 2,000 passages are embedded",
    measure=_query_meanwhile,
    claims=(Claim(SHARE, "of its idle latency", "at most", 3.0, 1.5),),
    contestants=OURS_ALONE,
)

EXACTNESS = Scenario(
    key="J",
    title="embeddings: the default numerics",
    measure=_exactness,
    claims=(
        Claim(MEAN_COSINE, "mean", "at least", 0.999, 0.999),
        Claim(WORST_COSINE, "worst", "at least", 0.99, 0.99),
    ),
    contestants=OURS_ALONE,
    most_rounds=1,
    compares_with=(PLAIN,),
)

SENTENCE_SIMILARITY = Scenario(
    key="K",
    title="embeddings: STS benchmark, English test pairs",
    measure=_similarity,
    claims=(Claim(SPEARMAN, "Spearman", "at least", 0.82, 0.82),),
    contestants=OURS_ALONE,
    most_rounds=1,
)
