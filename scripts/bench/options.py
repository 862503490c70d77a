"""The command line of `python -m scripts.bench`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.utils.machine import physical_cores
from scripts.bench.contestants import ALL, BENCH_FOLDER
from scripts.bench.scenarios.catalogue import SCENARIOS

RESULTS = Path(__file__).parent / "results.json"
PARTIAL_RESULTS = BENCH_FOLDER / "results.json"

_EPILOG = """\
scenarios:
{scenarios}

examples:
  make bench-peers                            build the servers to compare with, once
  make bench                                  everything: some 15 minutes on two cores
  python -m scripts.bench --quick             one round of everything, nothing to quote
  python -m scripts.bench --only A,B --peers ours,bare
  python -m scripts.bench --only G,H,I,J,K --sts test.csv    embeddings
  python -m scripts.bench --only M,N,O        the gateway

Nothing else should run on the machine meanwhile. Figures differ from machine to machine; only
ratios are worth quoting. A server that is not built is left out, and its rows are not measured.
"""


@dataclass(frozen=True, slots=True)
class Options:
    model: Path
    rounds: int
    scenarios: tuple[str, ...]
    contestants: tuple[str, ...]
    threads: int
    context: int
    parallel: int
    is_quick: bool
    sts: Path | None
    output: Path


def parse_options(arguments: Sequence[str]) -> Options:
    """Exits with a message where they are wrong. Raises ModelFileError without a model."""
    given = _parser().parse_args(arguments)
    is_partial = given.quick or given.only or given.peers
    return Options(
        model=(given.model or default_model_path()).resolve(),
        rounds=1 if given.quick else given.rounds,
        scenarios=given.only or tuple(scenario.key for scenario in SCENARIOS),
        contestants=given.peers or ALL,
        threads=given.threads or physical_cores(),
        context=given.context,
        parallel=given.parallel,
        is_quick=given.quick,
        sts=given.sts and given.sts.resolve(),
        output=given.output or (PARTIAL_RESULTS if is_partial else RESULTS),
    )


def _parser() -> argparse.ArgumentParser:
    titles = "\n".join(f"  {scenario.key}  {scenario.title}" for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="Compare this server with llama.cpp's, and with no server at all. The table "
        "goes to standard output, all there is to know to a JSON file.",
        epilog=_EPILOG.format(scenarios=titles),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    keys = tuple(scenario.key for scenario in SCENARIOS)
    parser.add_argument("--rounds", type=_count, default=3, help="rounds (default 3)")
    parser.add_argument(
        "--only", type=_some_of(keys), metavar="A,B", help="these scenarios (default all)"
    )
    parser.add_argument(
        "--peers", type=_some_of(ALL), metavar="NAME,...", help=f"of {', '.join(ALL)} (default all)"
    )
    parser.add_argument("--quick", action="store_true", help="one round, F with fewer requests")
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the default model)")
    parser.add_argument(
        "--threads", type=_count, help="threads that compute (default: one per physical core)"
    )
    parser.add_argument(
        "--context", type=_count, default=2048, help="tokens for each request (default 2048)"
    )
    parser.add_argument(
        "--parallel", type=_count, default=8, help="requests a server takes at once (default 8)"
    )
    parser.add_argument(
        "--sts", type=Path, metavar="CSV", help="pairs of sentences and grades, for K"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="JSON file (default scripts/bench/results.json; .bench/results.json for a part)",
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _some_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A converter of `a,b` to a tuple of known names."""

    def convert(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            wrong = ", ".join(unknown) or "nothing"
            raise argparse.ArgumentTypeError(f"{wrong}: choose from {', '.join(known)}")
        return names

    return convert
