"""Request bodies that tests vary."""

from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.fakes import MODEL_ID

HELLO = [{"role": "user", "content": "Hi"}]


def chat(**fields: object) -> dict[str, object]:
    return {"model": MODEL_ID, "messages": HELLO, **fields}


def tool(name: str, **parameters: object) -> dict[str, object]:
    """A declared function; `parameters` are its properties, all required."""
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def embedding(**fields: object) -> dict[str, object]:
    return {"model": EMBEDDING_ID, "input": "Once", **fields}


def completion(**fields: object) -> dict[str, object]:
    return {"model": MODEL_ID, "prompt": "Once", **fields}
