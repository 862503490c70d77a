"""Request bodies that tests vary."""

from tests.fakes import MODEL_ID

HELLO = [{"role": "user", "content": "Hi"}]


def chat(**fields: object) -> dict[str, object]:
    return {"model": MODEL_ID, "messages": HELLO, **fields}


def completion(**fields: object) -> dict[str, object]:
    return {"model": MODEL_ID, "prompt": "Once", **fields}
