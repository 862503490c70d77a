"""How many tokens a scheduler has had guessed ahead, in whichever way, and how many were right."""

from llm_api.core.llm.engine.scheduler import Scheduler


def drafted(scheduler: Scheduler) -> int:
    return sum(one.drafted for one in scheduler.occupancy().drafts)


def accepted(scheduler: Scheduler) -> int:
    return sum(one.accepted for one in scheduler.occupancy().drafts)
