import asyncio
from dataclasses import dataclass

import pytest

from llm_api.core.errors import UnavailableError
from llm_api.core.llm.gateway.routing.health import check_health
from llm_api.core.llm.gateway.routing.routed import RoutedBackend, RoutingLimits
from tests.core.llm.gateway.routing.fakes import FakeClock, events_of, plan, replica
from tests.fakes import CARD, FakeBackend


@dataclass
class Patient(FakeBackend):
    failure: Exception | None = None
    seconds: float = 0
    checks: int = 0

    async def check(self) -> None:
        self.checks += 1
        await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize(
    "patient",
    [Patient(failure=UnavailableError("gone")), Patient(failure=OSError()), Patient(seconds=60)],
)
async def test_failed_and_late_checks_open_the_breaker(patient: Patient) -> None:
    one, clock = replica(patient, check=patient.check), FakeClock()
    for _ in range(2):
        await check_health(one, 0.01, clock)
    assert one.breaker.seconds_left(0) == 1


async def test_a_passed_check_lets_the_next_request_try() -> None:
    patient, clock = Patient(failure=UnavailableError("gone")), FakeClock()
    one = replica(patient, check=patient.check)
    for _ in range(2):
        await check_health(one, 1, clock)
    patient.failure = None
    await check_health(one, 1, clock)
    assert one.breaker.admits(0)


async def test_several_replicas_are_checked_until_the_model_is_closed() -> None:
    patients = [Patient(), Patient()]
    backend = RoutedBackend(
        CARD, [replica(one, check=one.check) for one in patients], RoutingLimits(None, None, 0)
    )
    for _ in range(10):
        await asyncio.sleep(0)
    await backend.aclose()
    checked = [one.checks for one in patients]
    assert min(checked) >= 1
    await asyncio.sleep(0.01)
    assert [one.checks for one in patients] == checked


async def test_a_backend_that_cannot_be_asked_is_left_as_it_is() -> None:
    one = replica(plan("a"))
    await check_health(one, 1, FakeClock())
    assert one.breaker.is_closed
    await events_of(one.backend)
