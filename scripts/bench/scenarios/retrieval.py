"""P and Q: what storing costs beside embedding, and what a second question costs on one context."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from scripts.bench.answer import Answer
from scripts.bench.connection import Connection, Reply, connect
from scripts.bench.embedding_client import embed
from scripts.bench.scenarios.scenario import OURS_ALONE, Claim, Sample, Scenario, Turn, sample
from scripts.bench.scenarios.texts import passages, reply_sample
from scripts.bench.statistics import percentile

PASSAGES = 1000
QUICK_PASSAGES = 100
PASSAGE_TOKENS = (20, 110)
"""Each is one chunk, so that as much is embedded for the store as without it."""
PAIRS = 2
"""Embedding and storing in turns, so that both see the same machine."""

CONTEXTS = 5
SOURCES = 6
SOURCE_TOKENS = 150
QUESTION_TOKENS = 12
ANSWER_TOKENS = 8

INGEST_SHARE = "ingested / embedded"
INGEST_RATE = "passages/s"
TTFT_SHARE = "second question / first"
FIRST_TTFT = "first question, ms"


async def _ingest(turn: Turn) -> Sample:
    """Texts of the same lengths, other words: nothing is known from before."""
    replies: list[Reply] = []
    shares, rates = [], []
    async with connect(turn.desk.port) as connection:
        await _store(connection, "warm-up", _passages(turn, "warm-up")[:8])
        for pair in range(PAIRS):
            embedded = await embed(connection, _passages(turn, f"embedded {pair}"))
            texts = _passages(turn, f"stored {pair}")
            stored = await _store(connection, f"P-{turn.round_number}-{pair}", texts)
            shares.append(embedded.seconds / stored.seconds)
            rates.append(len(texts) / stored.seconds)
            replies += [embedded, stored]
    return reply_sample(
        replies, {INGEST_SHARE: percentile(shares, 50), INGEST_RATE: percentile(rates, 50)}
    )


async def _second_question(turn: Turn) -> Sample:
    """Two questions whose sources are the same: all of a collection of its own."""
    answers: list[Answer] = []
    firsts, shares = [], []
    for number in range(CONTEXTS):
        collection = f"Q-{turn.round_number}-{number}"
        texts = [
            turn.desk.text(SOURCE_TOKENS, "Q", turn.round_number, number, index)
            for index in range(SOURCES)
        ]
        async with connect(turn.desk.port) as connection:
            await _store(connection, collection, texts)
        first = await _ask(turn, collection, "first", number)
        second = await _ask(turn, collection, "second", number)
        firsts.append(1000 * _ttft(first))
        shares.append(_ttft(second) / _ttft(first))
        answers += [first, second]
    return sample(answers, {TTFT_SHARE: percentile(shares, 50), FIRST_TTFT: percentile(firsts, 50)})


async def _ask(turn: Turn, collection: str, *key: str | int) -> Answer:
    question = turn.desk.text(QUESTION_TOKENS, "Q", turn.round_number, *key)
    rag = {"collection": collection, "top_k": SOURCES, "score_threshold": -1.0}
    messages = [{"role": "user", "content": question}]
    return await (await turn.desk.chat(messages, ANSWER_TOKENS, rag=rag)).answer()


def _ttft(answer: Answer) -> float:
    return answer.text_times[0] - answer.sent


async def _store(connection: Connection, collection: str, texts: Sequence[str]) -> Reply:
    body: dict[str, Any] = {"texts": texts, "collection": collection, "background": False}
    content = await asyncio.to_thread(json.dumps, body)
    return await connection.post("/v1/rag/documents", content.encode())


def _passages(turn: Turn, key: str) -> list[str]:
    """Of the same lengths for every key."""
    count = QUICK_PASSAGES if turn.is_quick else PASSAGES
    return passages(turn, count, PASSAGE_TOKENS, turn.round_number, "P", key)


INGEST = Scenario(
    key="P",
    title="ingest: 1,000 passages, against embedding as many with nothing else",
    measure=_ingest,
    claims=(Claim(INGEST_SHARE, "of the rate of embedding", "at least", 0.8, 0.95),),
    contestants=OURS_ALONE,
)

SECOND_QUESTION = Scenario(
    key="Q",
    title="a second question on the same 900 tokens of sources",
    measure=_second_question,
    claims=(Claim(TTFT_SHARE, "of the first one's time to first token", "at most", 0.25, 0.1),),
    contestants=OURS_ALONE,
)
