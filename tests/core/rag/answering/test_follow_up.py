import pytest

from llm_api.core.rag.answering.follow_up import is_faithful, refers_back


@pytest.mark.parametrize(
    "question",
    [
        "How much does it cost?",
        "Who wrote it?",
        "What are its limits?",
        "When were they founded?",
        "Can you explain that?",
        "What does this mean exactly for companies?",
        "How is that different from a virtual machine?",
        "And on Windows with Hyper-V enabled?",
        "What about the other kind of licence?",
        "How about running several replicas instead?",
        "But is a volume kept after an upgrade?",
        "Why?",
        "Since when?",
        "In Germany?",
        "Warum nicht?",
        "Which one is the fastest on small machines?",
        "What did he say about the budget?",
        "Is there a cheaper plan than that?",
        "What else should I know about containers?",
        "Who lives there?",
        "How do these compare on price?",
        "Does the second one support encryption at rest?",
    ],
)
def test_follow_up_is_recognised(question: str) -> None:
    assert refers_back(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is a Docker volume?",
        "How do I install Docker on Ubuntu 22.04?",
        "Is there a limit on the size of uploads?",
        "Which function sorts a list that holds numbers?",
        "Who is the president of France?",
        "What similarity laws must be obeyed by aeroelastic models?",
        "Explain how the Earth moves around the Sun.",
        "Is there any evidence that coffee harms the heart?",
        "What happens to data when a container stops?",
        "Wie viele Tage Urlaub habe ich im Jahr?",
        "What is the difference between an image and a container?",
        "Compare the first and the second world war.",
    ],
)
def test_question_that_stands_alone_is_left_alone(question: str) -> None:
    assert not refers_back(question)


SAID = ["What is Docker Pro?", "Docker Pro is a paid subscription for single developers [1]."]


@pytest.mark.parametrize(
    ("rewritten", "question"),
    [
        ("How much does Docker Pro cost?", "How much does it cost?"),
        ("What does the Docker Pro subscription cost?", "What does that cost?"),
        ("Why is Docker Pro a paid subscription?", "Why?"),
        ("Does Docker Pro work on Windows?", "And on Windows?"),
    ],
)
def test_faithful_rewriting_is_taken(rewritten: str, question: str) -> None:
    assert is_faithful(rewritten, question, SAID)


@pytest.mark.parametrize(
    ("rewritten", "question"),
    [
        ("", "How much does it cost?"),
        ("What is it?", "How much does it cost?"),
        ("Docker Pro is a paid subscription.", "How much does it cost?"),
        ("How much does a holiday in sunny Spain cost in August?", "How much does it cost?"),
        ("The capital of France is Paris, a city on the Seine.", "Why?"),
    ],
)
def test_rewriting_that_asks_something_else_is_not(rewritten: str, question: str) -> None:
    assert not is_faithful(rewritten, question, SAID)
