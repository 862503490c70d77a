"""The server remembers a conversation; an answer in the background outlives its connection."""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
client = OpenAI(base_url=f"{url}/v1", api_key="unused")
model = client.models.list().data[0].id

first = client.responses.create(model=model, input="Name three rivers.", max_output_tokens=40)
print(first.output_text)

second = client.responses.create(
    model=model,
    input="In which countries are they?",
    previous_response_id=first.id,
    max_output_tokens=40,
)
print(second.output_text)

stream = client.responses.create(
    model=model, input="Tell a story.", background=True, stream=True, max_output_tokens=60
)
story, last = "", 0
for event in stream:
    last = event.sequence_number
    if event.type == "response.created":
        story = event.response.id
    if event.type == "response.output_text.delta":
        break  # as if the connection were cut
stream.close()

for event in client.responses.retrieve(story, stream=True, starting_after=last):
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()
