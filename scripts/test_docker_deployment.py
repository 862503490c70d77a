"""Checks a running deployment from end to end: `python -m scripts.test_docker_deployment`.

Prints a table, and exits 0 if nothing failed. With --local, it starts the stack by itself first,
without containers, and stops it at the end. `scripts/client_demo.py` tries every single endpoint.
"""

import argparse
import os
import sys
from pathlib import Path

import httpx2

from scripts.client_demo import Outcome, expect, outcome_of, show
from scripts.deployment.checks import check_all
from scripts.deployment.local_stack import LocalStack, StartError, local_stack


def main() -> int:
    options = _options()
    if not options.local:
        return show(check(options.base_url, options.api_key, options.timeout))
    try:
        with local_stack(options.environment) as stack:
            print(f"{stack.url}, documents in {stack.store}", flush=True)
            outcomes = check(stack.url, stack.api_key, options.timeout)
            return show([*outcomes, outcome_of("SIGTERM", lambda: _stopped(stack))])
    except StartError as error:
        print(error, file=sys.stderr)
        return 1


def check(base_url: str, api_key: str | None, timeout_seconds: float) -> list[Outcome]:
    """Every check of the server at this address."""
    key = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with (
        httpx2.Client(base_url=base_url, headers=key, timeout=timeout_seconds) as http,
        httpx2.Client(base_url=base_url, timeout=timeout_seconds) as anonymous,
    ):
        return list(check_all(http, anonymous, has_key=bool(api_key)))


def _stopped(stack: LocalStack) -> str:
    code = stack.stop()
    expect(code == 0, f"the server exits {code}")
    return "the server exits 0"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="the server to check")
    parser.add_argument("--api-key", default=os.environ.get("API_KEY"), help="its key [API_KEY]")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for each answer")
    parser.add_argument("--local", action="store_true", help="start a stack without containers")
    parser.add_argument("--environment", type=Path, help="the virtual environment --local serves")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
