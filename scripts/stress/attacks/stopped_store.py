"""The process of the vector store is stopped: it lives, and answers nothing."""

import os
import signal

import psutil

from scripts.bench.connection import Reply
from scripts.stress.attack import Attack, Place
from scripts.stress.case import MODEL, Outcome, Target
from scripts.stress.talk import CHAT, ask, chat, error_of

COLLECTION = "stopped"
DOCUMENTS = "/v1/rag/documents"
SEARCH = "/v1/rag/search"
ANSWER_SECONDS = 15.0
"""QDRANT_TIMEOUT_SECONDS is 10."""
_WORKER = "edge_worker"


async def prepare(target: Target) -> None:
    body = {"texts": ["A container is a program in a box."], "collection": COLLECTION}
    await ask(target.port, DOCUMENTS, body)


async def strike(place: Place) -> Outcome:
    """Search and an answer from documents while it is stopped; then search again."""
    await _search(place)  # which starts one where there is none
    if not (workers := _workers(place.server_process)):
        return Outcome("no process to stop", is_as_claimed=False)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    rag = {"collection": COLLECTION}
    stopped = [await _search(place), await ask(place.port, CHAT, chat(MODEL, "Box?", rag=rag))]
    again = await _search(place)
    slowest = max(reply.seconds for reply in stopped)
    speed = "within" if slowest < ANSWER_SECONDS else "not within"
    # Who comes after the store has been replaced is answered, which is better than a refusal.
    is_as_claimed = {reply.status for reply in stopped} <= {200, 503} and again.status == 200
    return Outcome(
        f"{', '.join(error_of(reply) for reply in stopped)} {speed} {ANSWER_SECONDS:.0f} s,"
        f" then {error_of(again)}",
        is_as_claimed and slowest < ANSWER_SECONDS,
    )


async def _search(place: Place) -> Reply:
    return await ask(place.port, SEARCH, {"query": "container", "collection": COLLECTION})


def _workers(server_process: int) -> list[int]:
    return [
        process.pid
        for process in psutil.Process(server_process).children(recursive=True)
        if any(_WORKER in word for word in process.cmdline())
    ]


ATTACK = Attack(
    "stopped store",
    "the store's process stopped (SIGSTOP): 503 in time, then it is replaced, and found again",
    strike,
    growth_mib=400.0,
    prepare=prepare,
)
