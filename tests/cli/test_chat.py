import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_api.cli.remote_server import key_for
from llm_api.config.settings import load_settings
from llm_api.core.llm.files.installed import default_model_path
from tests.cli.chat_server import ChatServer, running_chat_server
from tests.cli.command import llm_api
from tests.cli.here import Run, run
from tests.cli.terminal import plain, terminal
from tests.live import PATIENCE_SECONDS

__all__ = ["run"]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with running_chat_server() as server:
        yield server


def roles_and_texts(body: dict[str, list[dict[str, str]]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in body["messages"]]


def test_one_prompt_is_answered_and_nothing_else_is_printed(
    server: ChatServer, tmp_path: Path
) -> None:
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello.\n", "")
    (body,) = server.asked
    assert body["model"] == "tiny"
    assert body["stream"] is True
    assert "max_tokens" not in body
    assert "temperature" not in body


def test_options_reach_the_server(server: ChatServer, tmp_path: Path) -> None:
    options = ["--system", "Be brief.", "--max-tokens", "7", "--temperature", "0", "--model", "m"]
    llm_api(tmp_path, "chat", "--url", f"{server.url}/v1", *options, "Hi")
    (body,) = server.asked
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 7, 0)
    assert roles_and_texts(body) == [("system", "Be brief."), ("user", "Hi")]


def test_each_piped_line_is_a_turn_of_one_conversation_until_it_is_reset(
    server: ChatServer, tmp_path: Path
) -> None:
    lines = "One\n\nTwo\n/reset\nThree\n/exit\nNever\n"
    done = llm_api(tmp_path, "chat", "--url", server.url, stdin=lines)
    assert (done.returncode, done.stdout) == (0, "Hello.\n" * 3)
    assert [roles_and_texts(body) for body in server.asked] == [
        [("user", "One")],
        [("user", "One"), ("assistant", "Hello."), ("user", "Two")],
        [("user", "Three")],
    ]


def test_the_server_is_found_by_the_settings(server: ChatServer, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = llm_api(tmp_path, "chat", "Hi", HOST="0.0.0.0", PORT=port)  # noqa: S104 - a listener's
    assert done.stdout == "Hello.\n"


@pytest.mark.parametrize(
    ("options", "sent"),
    [([], "Bearer sk-own"), (["--api-key", "sk-given"], "Bearer sk-given")],
)
def test_a_server_on_this_machine_gets_its_key(
    server: ChatServer, tmp_path: Path, options: list[str], sent: str
) -> None:
    llm_api(tmp_path, "chat", "--url", server.url, *options, "Hi", API_KEY="sk-own")
    assert server.authorization == sent


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (None, "sk-own"),
        ("http://localhost:8000", "sk-own"),
        ("http://127.0.0.1", "sk-own"),
        ("http://[::1]:8000/v1", "sk-own"),
        ("http://localhost.example", None),
        ("http://localhost@example.org", None),
        ("https://example.org/127.0.0.1", None),
    ],
)
def test_no_other_server_gets_the_key_of_this_one(url: str | None, key: str | None) -> None:
    settings = load_settings(api_key="sk-own")
    assert key_for(settings, url, None) == key
    assert key_for(settings, url, "sk-given") == "sk-given"


def test_a_proxy_in_the_environment_does_not_hide_this_machine(
    server: ChatServer, tmp_path: Path
) -> None:
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi", HTTP_PROXY="http://127.0.0.1:9")
    assert done.stdout == "Hello.\n"


def test_without_a_server_one_line_says_how_to_start_one(tmp_path: Path) -> None:
    with running_chat_server() as stopped:
        pass
    done = llm_api(tmp_path, "chat", "--url", stopped.url, "Hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in (stopped.url, "--local", "llm-api serve"))


def test_an_error_in_mid_stream_is_shown_after_what_was_said(
    server: ChatServer, tmp_path: Path
) -> None:
    server.error_frame = "The engine failed."
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi")
    assert (done.returncode, done.stdout) == (1, "Hello.\n")
    assert done.stderr == "Error: The engine failed.\n"


def test_a_stream_that_just_ends_is_an_error(server: ChatServer, tmp_path: Path) -> None:
    server.is_cut = True
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi")
    assert done.returncode == 1
    assert "before it was complete" in done.stderr


def test_a_refusal_is_shown_in_the_servers_words(server: ChatServer, tmp_path: Path) -> None:
    server.refusal = "Too long."
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi")
    assert (done.returncode, done.stderr) == (1, "Error: Too long.\n")


def test_an_answer_cut_at_the_limit_says_so(server: ChatServer, tmp_path: Path) -> None:
    server.finish_reason = "length"
    done = llm_api(tmp_path, "chat", "--url", server.url, "Hi")
    assert done.stdout == "Hello.\n"
    assert "--max-tokens" in done.stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://"])
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    done = llm_api(tmp_path, "chat", "--url", url, "Hi")
    assert done.returncode == 1
    assert "is no URL" in done.stderr


def test_a_local_model_takes_no_url(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "chat", "--local", "--url", "http://127.0.0.1:1", "Hi")
    assert done.returncode == 2


def test_a_local_model_has_a_name_only_in_a_file_of_models(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "chat", "--local", "--model", "x", "Hi")
    assert done.returncode == 2
    assert "--config" in done.stderr


@pytest.mark.parametrize(("name", "words"), [("brief", 1), ("long", 2)])
def test_a_model_of_a_file_answers_in_this_process_as_the_file_says(
    tmp_path: Path, name: str, words: int
) -> None:
    (tmp_path / "models.yaml").write_text(
        "models:\n"
        "  broken: {path: cut.gguf}\n"
        "  brief: {default: true, max_tokens: 1, parallel: 1, context_length: 256}\n"
        "  long: {default: true, max_tokens: 20, parallel: 1, context_length: 256}\n"
    )
    # The broken one is not looked at: only the model that is asked for is loaded.
    done = llm_api(tmp_path, "chat", "--config", "models.yaml", "--model", name, "Count to nine.")
    assert done.returncode == 0, done.stderr
    assert (len(done.stdout.split()) > 1) == (words > 1)


def test_an_option_wins_over_what_the_file_says_of_a_local_model(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        "models: {a: {default: true, max_tokens: 1, temperature: 2, parallel: 1}}"
    )
    options = ["--config", "models.yaml", "--max-tokens", "20", "--temperature", "0"]
    answers = {llm_api(tmp_path, "chat", *options, "Count to nine.").stdout for _ in range(2)}
    assert len(answers) == 1
    assert len(answers.pop().split()) > 1


def test_a_local_model_answers_in_this_process(tmp_path: Path) -> None:
    options = ["--max-tokens", "8", "--temperature", "0"]
    lines = "Say hello.\nSay hello again.\n"
    done = llm_api(
        tmp_path, "chat", "--model-path", str(default_model_path()), *options, stdin=lines
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Hello")
    assert len(done.stdout.splitlines()) >= 2


def test_ctrl_c_stops_the_answer_and_ctrl_d_the_program(server: ChatServer, tmp_path: Path) -> None:
    server.is_endless = True
    with terminal(tmp_path, "chat", "--url", server.url) as person:
        person.until("> ")
        person.types("Hi\n")
        person.until("Hello....")
        os.kill(person.process.pid, signal.SIGINT)
        person.until("stopped")
        assert server.gone.wait(PATIENCE_SECONDS)
        server.is_endless = False
        person.until("> ")
        person.types("Again\n")
        person.until("Hello.")
        person.until("> ")
        time.sleep(0.2)  # a signal between the prompt and the wait for a key waits for the key
        os.kill(person.process.pid, signal.SIGINT)
        person.until("/exit or Ctrl-D leaves")
        person.until("> ")
        person.types("\x04")
        assert person.process.wait(PATIENCE_SECONDS) == 0
    assert [role for role, _ in roles_and_texts(server.asked[1])] == ["user", "assistant", "user"]


def test_an_error_does_not_end_a_conversation_at_the_terminal(
    server: ChatServer, tmp_path: Path
) -> None:
    server.refusal = "Not now."
    with terminal(tmp_path, "chat", "--url", server.url) as person:
        person.until("> ")
        person.types("Hi\n")
        person.until("Error: Not now.")
        server.refusal = None
        person.until("> ")
        person.types("Hi\n")
        person.until("Hello.")
        person.until("> ")
        person.types("/exit\n")
        assert person.process.wait(PATIENCE_SECONDS) == 0
    assert roles_and_texts(server.asked[1]) == [("user", "Hi")]


def test_a_model_cannot_control_the_terminal(server: ChatServer, tmp_path: Path) -> None:
    server.pieces = ["\x1b]0;owned\x07", "done"]
    with terminal(tmp_path, "chat", "--url", server.url, "Hi") as person:
        assert "\x1b" not in person.until("done")


def test_what_comes_from_a_pipe_is_added_to_the_prompt(server: ChatServer, run: Run) -> None:
    code, said, told = run(
        "chat", "--url", server.url, "Review this.", stdin="diff --git\n-a\n+b\n"
    )
    assert (code, said, told) == (0, "Hello.\n", "")
    assert roles_and_texts(server.asked[0]) == [("user", "Review this.\n\ndiff --git\n-a\n+b")]


def test_answer_for_programs_is_json_with_its_usage(server: ChatServer, run: Run) -> None:
    server.usage = {"prompt_tokens": 3, "completion_tokens": 2}
    code, said, _ = run("chat", "--url", server.url, "Hi", "--json")
    assert code == 0
    assert json.loads(said) == {
        "model": "tiny",
        "answer": "Hello.",
        "finish_reason": "stop",
        "usage": server.usage,
    }


def test_answer_is_held_to_a_schema(server: ChatServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "person.json"
    path.write_text('{"type": "object"}')
    assert run("chat", "--url", server.url, "Ada", "--schema", str(path))[0] == 0
    (body,) = server.asked
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    path.write_text("{")
    code, _, told = run("chat", "--url", server.url, "Ada", "--schema", str(path))
    assert code == 1
    assert "person.json holds no JSON" in told
    assert len(server.asked) == 1


def test_commands_change_how_the_next_question_is_asked(
    server: ChatServer, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("The bridge is closed.")
    saved = tmp_path / "talk.md"
    lines = [
        "/system You are brief.",
        "/docs manuals",
        f"/file {tmp_path / 'note.txt'}",
        "One",
        "/tools on",
        "Two",
        "/retry",
        f"/save {saved}",
        f"/save {saved.with_suffix('.json')}",
    ]
    code, said, told = run("chat", "--url", server.url, stdin="\n".join(lines))
    assert (code, said) == (0, "Hello.\n" * 3), told
    one, two, again = server.asked
    assert one["messages"][0] == {"role": "system", "content": "You are brief."}
    assert one["messages"][1]["content"] == "note.txt:\n```\nThe bridge is closed.\n```\n\nOne"
    assert one["rag"] == {"collection": "manuals"}
    assert "rag" not in two
    assert two["server_tools"] == "all"
    assert again["messages"] == two["messages"]
    assert saved.read_text().startswith("## System\n\nYou are brief.\n\n## User\n\nnote.txt:")
    roles = [one["role"] for one in json.loads(saved.with_suffix(".json").read_text())]
    assert roles == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/nope x", "There is no command /nope, and nothing was sent; there are /help /model"),
        ("/model absent", "There is no model 'absent'; there are tiny."),
        ("/tools perhaps", "/tools is on or off."),
        ("/file", "Say which: /file PATH."),
        ("/file absent.txt", "absent.txt cannot be read: No such file or directory."),
        ("/save", "Say where"),
        ("/retry", "Nothing has been asked yet."),
    ],
)
def test_command_that_cannot_be_done_is_refused_and_not_sent(
    server: ChatServer, run: Run, line: str, told: str
) -> None:
    code, said, complaint = run("chat", "--url", server.url, stdin=f"{line}\n")
    assert (code, said) == (1, "")
    assert complaint.startswith(f"Error: {told}")
    assert server.asked == []


def test_path_is_no_command(server: ChatServer, run: Run) -> None:
    assert run("chat", "--url", server.url, stdin="/etc/hosts is what?\n")[0] == 0
    assert roles_and_texts(server.asked[0]) == [("user", "/etc/hosts is what?")]


def test_key_that_is_refused_says_where_to_give_one(server: ChatServer, run: Run) -> None:
    server.refusal, server.status = "Wrong key.", 401
    code, _, told = run("chat", "--url", server.url, "Hi")
    assert code == 1
    assert told == (
        "Error: Wrong key. Give a key with --api-key or LLM_API_KEY; API_KEY is for this machine"
        " alone.\n"
    )


def test_server_and_key_come_from_the_environment(
    server: ChatServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_API_URL", server.url)
    monkeypatch.setenv("LLM_API_KEY", "sk-mine")
    assert run("chat", "Hi")[:2] == (0, "Hello.\n")
    assert server.authorization == "Bearer sk-mine"


@pytest.mark.parametrize("width", [60, 120])
def test_terminal_shows_who_answers_markdown_a_bar_and_the_sources(
    server: ChatServer, tmp_path: Path, width: int
) -> None:
    server.pieces = ["# Ti", "tle\n\nSome **bo", "ld** words.\n\n- one\n- two\n"]
    server.progress = [(100, 3000), (2000, 3000), (3000, 3000)]
    server.sources = ["docs/a.md"]
    with terminal(
        tmp_path, "chat", "--url", server.url, width=width, term="xterm-256color"
    ) as person:
        assert "tiny answers, at http://" in person.until("> ")
        person.types("Hi\n")
        seen = person.until("two")
        assert "\x1b[1mbold\x1b[0m" in seen
        assert "**bold**" not in seen
        assert "of 3000 tokens" in plain(seen)
        person.until("[1] docs/a.md")
        person.until("> ")
        person.types("/exit\n")
        assert person.process.wait(PATIENCE_SECONDS) == 0
    assert server.asked[0]["return_progress"] is True
    assert server.asked[0]["messages"] == [{"role": "user", "content": "Hi"}]


def test_questions_of_earlier_runs_are_at_the_arrow_keys(
    server: ChatServer, tmp_path: Path
) -> None:
    for keys in ("A question of mine\n", "\x1b[A\x1b[A\n"):  # the second time: up, up
        with terminal(tmp_path, "chat", "--url", server.url) as person:
            person.until("> ")
            person.types(keys)
            person.until("Hello.")
            person.until("> ")
            person.types("/exit\n")
            assert person.process.wait(PATIENCE_SECONDS) == 0
    kept = tmp_path / ".local" / "state" / "llm_api" / "chat_history"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [roles_and_texts(body) for body in server.asked] == [
        [("user", "A question of mine")],
        [("user", "A question of mine")],
    ]


def test_dying_server_is_one_sentence_and_the_talk_goes_on(
    server: ChatServer, tmp_path: Path
) -> None:
    server.is_cut = True
    with terminal(tmp_path, "chat", "--url", server.url) as person:
        person.until("> ")
        person.types("Hi\n")
        assert "Hello." in person.until("before it was complete.")
        person.until("> ")
        person.types("\x04")
        assert person.process.wait(PATIENCE_SECONDS) == 0
