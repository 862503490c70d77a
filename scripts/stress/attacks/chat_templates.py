"""Models whose chat template loops, or swells: when it is looked at, or when it is used."""

from scripts.stress.attack import Attack, Place
from scripts.stress.broken_models import TEMPLATES, TRIGGER, break_model
from scripts.stress.case import Outcome, Target
from scripts.stress.talk import CHAT, ask, chat, error_of


async def prepare(target: Target) -> None:
    """The one that can be loaded is: its weights and its cells are none of the attack's."""
    for kind in TEMPLATES:
        break_model(target.late_models, kind)
    await ask(target.port, CHAT, chat("waiting"))


async def strike(place: Place) -> Outcome:
    """Each is asked for, with the word that sets off the one that is loaded."""
    replies = {kind: await ask(place.port, CHAT, chat(kind, TRIGGER)) for kind in TEMPLATES}
    return Outcome(
        ", ".join(f"{kind} {error_of(reply)}" for kind, reply in replies.items()),
        all(400 <= reply.status < 504 for reply in replies.values()),
    )


ATTACK = Attack(
    "chat templates",
    "templates of model files that loop or swell, at load or at a request: an error that says so",
    strike,
    # A template's process may take 512 MiB, beside the weights of the model that is looked at.
    growth_mib=1024.0,
    prepare=prepare,
)
