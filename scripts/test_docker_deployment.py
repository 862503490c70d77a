"""Checks a running deployment from end to end: `python -m scripts.test_docker_deployment`.

Prints a table, and exits 0 if nothing failed. With --local, it starts the stack by itself first,
without containers, and stops it at the end.
"""

import argparse
import os
import sys
from pathlib import Path

import httpx2
from rich.console import Console

from scripts.deployment.checking import Check, Outcome, exit_code, require, run_checks, table_of
from scripts.deployment.checks import CHECKS
from scripts.deployment.local_stack import LocalStack, StartError, local_stack
from scripts.deployment.server import DeployedServer


def main() -> int:
    options = _options()
    try:
        outcomes, title = _local(options) if options.local else _remote(options)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    console = Console()
    console.width = max(console.width, 100)
    console.print(table_of(outcomes, title))
    return exit_code(outcomes)


def _remote(options: argparse.Namespace) -> tuple[list[Outcome], str]:
    return check(options.base_url, options.api_key, options.timeout), options.base_url


def _local(options: argparse.Namespace) -> tuple[list[Outcome], str]:
    with local_stack(options.environment) as stack:
        outcomes = check(stack.url, stack.api_key, options.timeout)
        outcomes += run_checks([Check("SIGTERM", stops)], stack)
        return outcomes, f"{stack.url}, documents in {stack.store}"


def check(base_url: str, api_key: str | None, timeout_seconds: float) -> list[Outcome]:
    """Every check of the server at this address."""
    key = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with (
        httpx2.Client(base_url=base_url, headers=key, timeout=timeout_seconds) as http,
        httpx2.Client(base_url=base_url, timeout=timeout_seconds) as anonymous,
    ):
        return list(run_checks(CHECKS, DeployedServer(http, anonymous, bool(api_key))))


def stops(stack: LocalStack) -> str:
    code = stack.stop()
    require(code == 0, f"the server exits {code}")
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
