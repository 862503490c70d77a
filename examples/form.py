"""An answer that fits a Pydantic model: the model cannot write anything else."""

import sys
from typing import Literal

from openai import OpenAI
from pydantic import BaseModel


class Ticket(BaseModel):
    """What a support desk needs to know of a message."""

    topic: Literal["billing", "delivery", "other"]
    is_urgent: bool
    days_waiting: int


url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
client = OpenAI(base_url=f"{url}/v1", api_key="unused")

completion = client.chat.completions.parse(
    model=client.models.list().data[0].id,
    messages=[
        {
            "role": "user",
            "content": "Fill in the ticket: my parcel has not come for 9 days, I need it today!",
        }
    ],
    response_format=Ticket,
    max_tokens=100,
    temperature=0,
)
print(completion.choices[0].message.parsed)
