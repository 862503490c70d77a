"""Functions of the client: the model asks for them, the client runs them, the model goes on."""

import json
import sys

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
client = OpenAI(base_url=f"{url}/v1", api_key="unused")
model = client.models.list().data[0].id

STOCK = {"bolt": 1200, "nut": 0}


def stock_of(article: str) -> int:
    """How many of an article are in stock."""
    return STOCK[article]


tool: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "stock_of",
        "description": stock_of.__doc__ or "",
        "parameters": {
            "type": "object",
            "properties": {"article": {"enum": list(STOCK)}},
            "required": ["article"],
            "additionalProperties": False,
        },
    },
}
messages: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "How many bolts are in stock?"}
]
asked = (
    client.chat.completions.create(
        model=model, messages=messages, tools=[tool], tool_choice="required", max_tokens=60
    )
    .choices[0]
    .message
)
messages.append(asked.model_dump(exclude_none=True))  # type: ignore[arg-type]  # as it came
for call in asked.tool_calls or []:
    if call.type == "function":
        result = stock_of(**json.loads(call.function.arguments))
        print(f"{call.function.name}({call.function.arguments}) = {result}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result)})
answer = client.chat.completions.create(model=model, messages=messages, max_tokens=60)
print(answer.choices[0].message.content)
