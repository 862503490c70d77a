"""Bodies of every kind on every route that takes one: nothing but a success or a plain refusal."""

from collections.abc import Iterator

import pytest

from scripts.fuzz.bodies import Sent, make_app, opened_by_route, requests_of
from scripts.fuzz.rounds import Target, run_round

pytestmark = pytest.mark.long

EXAMPLES = 150
ROUTES = sorted(requests_of(make_app()))


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, Target[Sent]]]:
    with opened_by_route() as targets:
        yield targets


@pytest.mark.parametrize("route", ROUTES)
def test_whatever_is_sent_is_answered_or_refused(
    targets: dict[str, Target[Sent]], route: str
) -> None:
    run_round(targets[route], number=1, examples=EXAMPLES)
