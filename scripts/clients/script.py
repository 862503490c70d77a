"""What the scripted model says: which calls it makes, and a sentence that tells what it was shown.

A real model may fail at a task whatever the server does. This one makes the calls that a plan
holds, and otherwise repeats the conversation, so that a client can see that nothing of it was
lost. It knows no wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

MODEL: Final = "scripted"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as the model is shown it. `calls` is how many an assistant's turn has made."""

    role: str
    text: str
    calls: int = 0
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done for a user whose text holds `asks`: a tuple of calls for each step.

    Of several, the first whose first call can be made is followed: agents name tools differently.
    """

    asks: str
    steps: tuple[tuple[Call, ...], ...] = ()
    says: str = ""

    def can_begin(self, tools: Sequence[str]) -> bool:
        return not self.steps or self.steps[0][0].tool in tools


@dataclass(frozen=True, slots=True)
class Reply:
    thought: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()


CODING_TASK: Final = (
    "Create the file greeting.txt that holds the line: hello from a client. Then run: sh check.sh"
)
FULL_TASK: Final = (
    "Create the file greeting.txt, which holds the line: hello from a client. Then run: sh check.sh"
    " and count the days from 2026-02-14 to 2026-02-28."
)
_PATCH: Final = """\
*** Begin Patch
*** Add File: greeting.txt
+hello from a client
*** End Patch
"""
_GREETING: Final = "hello from a client\n"
_DAYS: Final = {"start": "2026-02-14", "end": "2026-02-28"}
PLANS: Final = (
    Plan(
        "weather in Oslo and in Rome",
        ((Call("weather", {"city": "Oslo"}), Call("weather", {"city": "Rome"})),),
    ),
    Plan("Hola", ((Call("transfer_to_spanish_agent", {}),),)),
    Plan("as an object", ((Call("json", {"city": "Oslo", "degrees": 7}),),)),
    Plan("as an object", says='{"city": "Oslo", "degrees": 7}'),
    Plan("Who keeps the lighthouse", says="Its keeper is Tobias Lund [1]."),
    Plan(
        "Look up the keeper of the lighthouse",
        ((Call("file_search", {"queries": ["lighthouse keeper"]}),),),
        says="Its keeper is Tobias Lund [1].",
    ),
    Plan("Generate a title for this conversation", says="A greeting"),
    Plan(
        CODING_TASK,
        (
            (Call("exec_command", {"cmd": "echo 'hello from a client' > greeting.txt"}),),
            (Call("exec_command", {"cmd": "sh check.sh"}),),
        ),
    ),
    Plan(
        CODING_TASK,
        (
            (Call("write", {"filePath": "greeting.txt", "content": _GREETING}),),
            (Call("bash", {"command": "sh check.sh", "description": "Looks at it"}),),
        ),
    ),
    Plan(
        CODING_TASK,
        (
            (Call("Write", {"file_path": "greeting.txt", "content": _GREETING}),),
            (Call("Bash", {"command": "sh check.sh", "description": "Looks at it"}),),
        ),
    ),
    Plan(
        FULL_TASK,
        (
            (Call("create_goal", {"objective": "a greeting"}),),
            (Call("agent__goal_objective", {}),),  # Codex makes it by itself: it is only counted
            (Call("apply_patch", {"input": _PATCH}),),
            (Call("exec_command", {"cmd": "sh check.sh"}),),
            (Call("mcp__tools__days_between", _DAYS),),
            (Call("update_goal", {"status": "complete"}),),
        ),
    ),
)


def reply(turns: Sequence[Turn], tools: Sequence[str]) -> Reply:
    """What follows on these turns. Pure."""
    since = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=0)
    asked = turns[since].text if turns else ""
    plans = [plan for plan in PLANS if plan.asks in asked] or [Plan(asked)]
    plan = next((plan for plan in plans if plan.can_begin(tools)), plans[0])
    done = sum(turn.calls > 0 for turn in turns[since:])
    if done < len(plan.steps):
        return _calls(plan.steps[done], tools, done)
    return Reply(text=plan.says or _told(turns, since, done))


def _calls(calls: tuple[Call, ...], tools: Sequence[str], done: int) -> Reply:
    missing = [call.tool for call in calls if call.tool not in tools]
    if missing:
        return Reply(text=f"There is no tool {missing[0]} among {', '.join(tools) or 'none'}.")
    return Reply(f"Step {done + 1} is to call {calls[0].tool}.", calls=calls)


def _told(turns: Sequence[Turn], since: int, steps: int) -> str:
    """What the model has been shown, in a form that clients can check."""
    if steps:
        results = " | ".join(turn.text.strip() for turn in turns[since:] if turn.role == "tool")
        thoughts = sum(bool(turn.thought) for turn in turns[since:])
        return f"Done in {steps} steps, {thoughts} thoughts known. Results: {results}"
    said = [f"{turn.role}: {turn.text}" for turn in turns if turn.role in ("user", "assistant")]
    return f"{len(said)} turns. " + " / ".join(said)
