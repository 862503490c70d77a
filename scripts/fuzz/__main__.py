"""Fuzzing by hand: `python -m scripts.fuzz bodies --minutes 60`.

The suite runs the same targets for seconds, each time with the same examples.
"""

import argparse
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from scripts.fuzz import bodies, files
from scripts.fuzz.rounds import ROUND_EXAMPLES, Target, hunt

TARGETS: Mapping[str, Callable[[], AbstractContextManager[Target[Any]]]] = {
    "bodies": bodies.opened,
    "files": files.opened,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--first", type=int, help="the first round's number; drawn otherwise")
    asked = parser.parse_args()
    first = secrets.randbelow(1_000_000_000) if asked.first is None else asked.first
    print(f"rounds of {ROUND_EXAMPLES} examples from number {first} on", flush=True)
    with TARGETS[asked.target]() as target:
        rounds = hunt(target, first, asked.minutes * 60)
    print(f"{rounds * ROUND_EXAMPLES} examples, and none did harm")


if __name__ == "__main__":
    main()
