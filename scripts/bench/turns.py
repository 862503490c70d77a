"""The turns of a run: every round, every scenario is played by each contestant in turn."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.bench.contestants import BARE, GENERATING_SERVERS
from scripts.bench.process import Contestant, Server
from scripts.bench.requests import Desk
from scripts.bench.scenarios.scenario import Sample, Scenario, Turn
from scripts.bench.scenarios.throughput import SPEED

WARM_UP_STREAMS = 8
WARM_UP_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Record:
    """One turn as measured. Shares are processor seconds per second, where 1 is a whole core."""

    round_number: int
    scenario: str
    contestant: str
    sample: Sample
    seconds: float
    own_share: float
    """What the contestant itself took. Below the number of threads: it waited for something."""
    client_share: float
    """What the client took meanwhile."""
    partner_share: float
    """What those took that the scenario compares with, or sends requests on to."""
    idle_share: float
    """What the other contestants took meanwhile, whose turn it was not."""
    foreign_share: float
    """What all else on the machine took meanwhile."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a scenario is played, and with what."""

    is_quick: bool = False
    sts: Path | None = None


@dataclass(frozen=True, slots=True)
class Player:
    """A contestant that is up. The bare loop has no desk: it is given prompts directly."""

    contestant: Contestant
    desk: Desk


def busy_turns(records: Sequence[Record]) -> int:
    """How many turns something else on the machine, or a contestant not playing, disturbed. Pure.

    5 % of a core is what a quiet machine needs for itself.
    """
    return sum(one.foreign_share + one.idle_share > 0.05 for one in records)


def turn_order(count: int, round_number: int) -> list[int]:
    """Who plays when: each round begins with the next one. Pure."""
    return [(round_number + position) % count for position in range(count)]


async def warm_up(player: Player) -> None:
    """Some streams together, whose figures nobody looks at."""
    prompts = [player.desk.text(32, "warm-up", stream) for stream in range(WARM_UP_STREAMS)]
    if player.contestant.name == BARE:
        await _run_bare(player.contestant, prompts, WARM_UP_TOKENS)
        return
    if player.contestant.name not in GENERATING_SERVERS:
        return  # scenarios of embeddings and of gateways warm up themselves
    await asyncio.gather(*(player.desk.complete(prompt, WARM_UP_TOKENS) for prompt in prompts))
    await player.desk.complete(player.desk.text(32, "warm-up", "last"), WARM_UP_TOKENS)


async def play(
    scenario: Scenario, players: Sequence[Player], round_number: int, extent: Extent
) -> list[Record]:
    """One round of a scenario by all who take part in it."""
    playing = [player for player in players if scenario.takes(player.contestant.name)]
    records = []
    for index in turn_order(len(playing), round_number):
        player = playing[index]
        partners = [
            one.contestant for one in players if one.contestant.name in scenario.compares_with
        ]
        idle = [
            one.contestant
            for one in players
            if one is not player and one.contestant not in partners
        ]
        before = _CpuSeconds.read(player.contestant, partners, idle)
        began = time.perf_counter()
        measured = await _measure(scenario, player, round_number, players, extent)
        seconds = time.perf_counter() - began
        took = _CpuSeconds.read(player.contestant, partners, idle).since(before)
        record = Record(
            round_number,
            scenario.key,
            player.contestant.name,
            measured,
            seconds,
            own_share=took.playing / seconds,
            client_share=took.client / seconds,
            partner_share=took.partners / seconds,
            idle_share=took.idle / seconds,
            foreign_share=took.foreign / seconds,
        )
        _say(record)
        records.append(record)
    return records


async def _measure(
    scenario: Scenario,
    player: Player,
    round_number: int,
    players: Sequence[Player],
    extent: Extent,
) -> Sample:
    contestant = player.contestant
    if isinstance(contestant, Server):
        desks = {one.contestant.name: one.desk for one in players}
        turn = Turn(contestant, player.desk, round_number, extent.is_quick, desks, extent.sts)
        return await scenario.measure(turn)
    if scenario.bare is None:
        raise ValueError(f"scenario {scenario.key} has no work for {contestant.name}")
    seconds, tokens = 0.0, 0
    for prompts in scenario.bare.prompts(player.desk, round_number):
        took, made = await _run_bare(contestant, prompts, scenario.bare.max_tokens)
        seconds, tokens = seconds + took, tokens + made
    return Sample({SPEED: tokens / seconds}, tokens=tokens, chunks=tokens)


async def _run_bare(
    contestant: Contestant, prompts: Sequence[str], max_tokens: int
) -> tuple[float, int]:
    """Seconds and tokens of one job. Raises OSError or ValueError where the loop is gone."""
    process = contestant.process
    if process.stdin is None or process.stdout is None:
        raise ValueError("the bare loop has no pipes")
    job = json.dumps({"prompts": list(prompts), "max_tokens": max_tokens})
    process.stdin.write(job.encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(await asyncio.to_thread(process.stdout.readline))
    return answer["seconds"], answer["tokens"]


@dataclass(frozen=True, slots=True)
class _CpuSeconds:
    """Processor time since each began: of the whole machine, and of those known."""

    machine: float
    playing: float
    client: float
    partners: float
    idle: float

    @classmethod
    def read(
        cls, playing: Contestant, partners: Sequence[Contestant], idle: Sequence[Contestant]
    ) -> "_CpuSeconds":
        times = psutil.cpu_times()
        return cls(
            machine=times.user + times.system + times.nice,
            playing=playing.cpu_seconds(),
            client=time.process_time(),
            partners=sum(one.cpu_seconds() for one in partners),
            idle=sum(one.cpu_seconds() for one in idle),
        )

    def since(self, before: "_CpuSeconds") -> "_CpuSeconds":
        return _CpuSeconds(
            self.machine - before.machine,
            self.playing - before.playing,
            self.client - before.client,
            self.partners - before.partners,
            self.idle - before.idle,
        )

    @property
    def foreign(self) -> float:
        """What none of those known took; 0 where the clocks' grain makes it less."""
        known = self.playing + self.client + self.partners + self.idle
        return max(0.0, self.machine - known)


def _say(record: Record) -> None:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in record.sample.figures.items())
    lost = f", {record.sample.lost} lost" if record.sample.lost else ""
    print(
        f"  round {record.round_number + 1} {record.scenario} {record.contestant}: {figures}{lost}"
        f" ({record.seconds:.1f} s, others took {record.foreign_share:.2f} cores)",
        file=sys.stderr,
        flush=True,
    )
