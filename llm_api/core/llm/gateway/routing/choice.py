"""Which of several replicas a request goes to."""

import math
from collections.abc import Collection, Sequence
from hashlib import blake2b

from llm_api.core.llm.gateway.routing.replica import Replica

SPREAD = 1.5
"""So many times its part of the running requests a replica may have, before others help it.

"Consistent Hashing with Bounded Loads" (Mirrokni, Thorup, Zadimoghaddam, 2018). At 1.25, their
example, of four conversations at a time one turn in eight went where nobody knew it.
"""

FEW = 4
"""So few running requests are no load: an engine computes them together."""


def nearest(candidates: Sequence[Replica], beginning: bytes) -> Replica:
    """The candidate that has most likely read this beginning before, unless it has its part.

    That is the one which a hash of both puts first: the same one in every process, before and
    after a restart, with nothing to remember. Without it another is first, and nothing changes for
    the beginnings of the others (weighted rendezvous hashing). Pure.
    """
    load = SPREAD * (1 + sum(one.running for one in candidates))
    weights = sum(one.weight for one in candidates)
    near_to_far = sorted(candidates, key=lambda one: _distance(one, beginning))
    # The parts add up to more than is running, so that one replica at least has less than its own.
    return next(
        one for one in near_to_far if one.running < max(math.ceil(load * one.weight / weights), FEW)
    )


def _distance(replica: Replica, beginning: bytes) -> float:
    """An exponential variate: the least of several is each one's as often as its weight says."""
    hashed = blake2b(replica.name.encode() + b"\0" + beginning, digest_size=8).digest()
    return -math.log((int.from_bytes(hashed) + 1) / (2**64 + 1)) / replica.weight


def least_busy(candidates: Sequence[Replica], all_replicas: Collection[Replica]) -> Replica:
    """The candidate with the fewest running requests for its weight. Mutates every `turn`.

    The equally busy take turns, each as often as its weight says. A replica that had no turn for a
    while, because it was ill, does not make up for it.
    """
    chosen = min(candidates, key=lambda replica: (replica.running / replica.weight, replica.turn))
    floor = min(replica.turn for replica in candidates)
    for replica in all_replicas:
        replica.turn = max(replica.turn, floor)
    chosen.turn += 1 / chosen.weight
    return chosen
