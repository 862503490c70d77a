"""Asks replicas from time to time whether they are well, so that requests need not find out."""

import asyncio
import logging
from collections.abc import Sequence

from llm_api.core.llm.gateway.routing.replica import Clock, Replica

log = logging.getLogger(__name__)


async def watch_health(replicas: Sequence[Replica], every_seconds: float, clock: Clock) -> None:
    """Check all of them, for ever. Cancel it to end it."""
    while True:
        await asyncio.sleep(every_seconds)
        async with asyncio.TaskGroup() as group:
            for replica in replicas:
                group.create_task(check_health(replica, every_seconds, clock))


async def check_health(replica: Replica, seconds: float, clock: Clock) -> None:
    """Tell the breaker whether the replica answers a check within so many seconds."""
    if replica.check is None:
        return
    try:
        async with asyncio.timeout(seconds):
            await replica.check()
    except Exception as error:  # noqa: BLE001 - the border: whatever it is, the watch goes on
        with replica.told(clock, error):
            replica.breaker.check_failed(clock())
    else:
        replica.breaker.check_passed(clock())
