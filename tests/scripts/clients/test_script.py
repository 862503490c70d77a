"""What the scripted model does, turn by turn."""

from scripts.clients.script import CODING_TASK, Call, Reply, Turn, reply

SYSTEM = Turn("system", "Be brief.")


def test_it_repeats_the_conversation_so_that_a_lost_turn_is_seen() -> None:
    turns = [SYSTEM, Turn("user", "One."), Turn("assistant", "Yes."), Turn("user", "Two.")]
    assert reply(turns, []) == Reply(text="3 turns. user: One. / assistant: Yes. / user: Two.")


def test_it_makes_the_calls_of_a_plan_step_by_step_and_then_tells_the_results() -> None:
    turns = [SYSTEM, Turn("user", CODING_TASK)]
    made: list[Call] = []
    while calls := reply(turns, ["exec_command"]).calls:
        made += calls
        said = reply(turns, ["exec_command"])
        turns += [Turn("assistant", "", len(calls), said.thought), Turn("tool", "done\n")]
    assert [call.arguments["cmd"] for call in made] == [
        "echo 'hello from a client' > greeting.txt",
        "sh check.sh",
    ]
    last = reply(turns, ["exec_command"]).text
    assert last == "Done in 2 steps, 2 thoughts known. Results: done | done"


def test_a_step_may_be_several_calls() -> None:
    said = reply([Turn("user", "The weather in Oslo and in Rome?")], ["weather"])
    assert [call.arguments for call in said.calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert said.thought


def test_a_plan_begins_anew_with_another_turn_of_the_user() -> None:
    asked = Turn("user", "Hola")
    turns = [asked, Turn("assistant", "", 1), Turn("tool", "ok"), asked]
    assert reply(turns, ["transfer_to_spanish_agent"]).calls


def test_of_several_plans_the_one_whose_tools_are_offered_is_followed() -> None:
    [offered] = reply([Turn("user", CODING_TASK)], ["read", "write"]).calls
    assert offered.tool == "write"


def test_it_says_which_tool_it_was_not_offered() -> None:
    said = reply([Turn("user", "Hola")], ["weather"])
    assert said == Reply(text="There is no tool transfer_to_spanish_agent among weather.")
