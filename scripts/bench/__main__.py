"""`make bench`: start all contestants, play all rounds, print the table, write the JSON."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from scripts.bench.contestants import BARE, UPSTREAM, Conditions, command, is_built
from scripts.bench.machine import describe_machine
from scripts.bench.options import Options, parse_options
from scripts.bench.process import Contestant, Server, StartError, free_port
from scripts.bench.requests import Desk
from scripts.bench.scenarios.catalogue import SCENARIOS
from scripts.bench.scenarios.scenario import Scenario
from scripts.bench.table import make_rows, render
from scripts.bench.turns import Extent, Player, Record, busy_turns, play, warm_up
from scripts.bench.vocabulary import Vocabulary, read_vocabulary

METHOD = """\
Contestants are all up and take turns, each round beginning with the next one; the order of
scenarios is that of the table. Figures are medians over the rounds; a ratio is the median of the
ratios of the rounds, and it is what may be quoted. Requests are greedy, with every end-of-text
token banned through logit_bias, so that an answer ends at its limit: one without [DONE], or with
another finish reason, is lost. Tokens are those of the usage that the server sends, where it sends
one, otherwise the chunks with text; both sums are in the records. Prompts are random words, each
one token, different in every scenario, round and repetition, and the same for all contestants.
Speeds are tokens divided by the time from the first byte sent to the last answer ended, prefill
included. The client parses after the clock has stopped. own_share is the part of a core that the
contestant took, client_share the client, idle_share the contestants whose turn it was not,
foreign_share all else. D counts the pauses of the running streams that overlap the time from the
long request's sending to its first token. Texts to embed are such random words as well, asked for
in base64 over connections that stay open; J compares with the plain server's float32."""


async def run(options: Options, folder: Path, stack: ExitStack) -> dict[str, object]:
    """All rounds. What has been started is stopped by `stack`."""
    machine = describe_machine()
    vocabulary = read_vocabulary(options.model)
    conditions = Conditions(
        options.model, options.threads, options.context, options.parallel, free_port()
    )
    scenarios = [scenario for scenario in SCENARIOS if scenario.key in options.scenarios]
    players = [
        await _bring_up(name, conditions, vocabulary, folder, stack)
        for name in options.contestants
        if any(scenario.needs(name) for scenario in scenarios) and _is_there(name)
    ]
    records = await _play_all(scenarios, players, options)
    rows = make_rows(scenarios, records)
    print(render(rows))
    if busy := busy_turns(records):
        _say(f"{busy} of {len(records)} turns shared the machine with something else: do not quote")
    return {
        "method": METHOD.replace("\n", " "),
        "machine": machine,
        "model": {"file": options.model.name, "bytes": options.model.stat().st_size},
        "threads": conditions.threads,
        "context_per_request": options.context,
        "parallel": options.parallel,
        "rounds": options.rounds,
        "is_quick": options.is_quick,
        "commands": {one.contestant.name: str(one.contestant.command) for one in players},
        "rows": [asdict(row) for row in rows],
        "records": [asdict(record) for record in records],
    }


async def _play_all(
    scenarios: Sequence[Scenario], players: Sequence[Player], options: Options
) -> list[Record]:
    records: list[Record] = []
    extent = Extent(options.is_quick, options.sts)
    for round_number in range(options.rounds):
        for scenario in scenarios:
            if scenario.most_rounds is None or round_number < scenario.most_rounds:
                records += await play(scenario, players, round_number, extent)
    return records


def _is_there(name: str) -> bool:
    if is_built(name):
        return True
    _say(f"{name} is not built: run `make bench-peers`; going on without it")
    return False


async def _bring_up(
    name: str, conditions: Conditions, vocabulary: Vocabulary, folder: Path, stack: ExitStack
) -> Player:
    """Start a contestant, wait for it, warm it up. Raises StartError."""
    log_path = folder / f"{name}.log"
    port = conditions.upstream_port if name == UPSTREAM else free_port()
    line = command(name, conditions, port)
    _say(f"starting {name}: {line}")
    if name == BARE:
        bare = Contestant(name, line, log_path)
        stack.callback(bare.stop)
        bare.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        player = Player(bare, Desk(0, name, vocabulary))
    else:
        server = Server(name, line, log_path, port)
        stack.callback(server.stop)
        server.start()
        await server.wait_until_ready()
        player = Player(server, Desk(port, await server.model_name(), vocabulary))
    await warm_up(player)
    return player


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    options = parse_options(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        try:
            results = asyncio.run(run(options, Path(folder), stack))
        except (StartError, OSError, ValueError) as error:
            _say(f"the bench stopped: {error}")
            return 1
        except KeyboardInterrupt:
            return 130
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _say(f"all records are in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
