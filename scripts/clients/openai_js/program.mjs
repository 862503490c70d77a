// The official JavaScript SDK: whole, streamed, calls, a schema, what is stored.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const model = process.env.MODEL;
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const weather = {
  type: "function",
  name: "weather",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};

const steps = {
  async "whole and streamed"() {
    const input = "Name a river.";
    const whole = await client.responses.create({ model, input, store: false });
    assert.match(whole.output_text, /user: Name a river\./);
    const stream = client.responses.stream({ model, input, store: false });
    let deltas = "";
    stream.on("response.output_text.delta", (event) => (deltas += event.delta));
    const final = await stream.finalResponse();
    assert.equal(final.output_text, whole.output_text);
    assert.equal(deltas, whole.output_text);
  },
  async calls() {
    const tools = [weather];
    const first = await client.responses.create({ model, input: "The weather in Oslo and in Rome?", tools });
    const made = first.output.filter((item) => item.type === "function_call");
    assert.deepEqual(made.map((item) => JSON.parse(item.arguments).city), ["Oslo", "Rome"]);
    const input = made.map((item, at) => ({
      type: "function_call_output",
      call_id: item.call_id,
      output: [{ type: "input_text", text: `${item.name} ${at}` }],
    }));
    const second = await client.responses.create({ model, previous_response_id: first.id, input, tools });
    assert.match(second.output_text, /weather 0 \| weather 1/);
  },
  async "a schema"() {
    const format = zodTextFormat(z.object({ city: z.string(), degrees: z.number() }), "weather");
    const input = "Oslo's weather as an object.";
    const parsed = await client.responses.parse({ model, input, text: { format }, store: false });
    assert.deepEqual(parsed.output_parsed, { city: "Oslo", degrees: 7 });
  },
  async stored() {
    const first = await client.responses.create({ model, input: "My name is Ada." });
    const again = await client.responses.retrieve(first.id);
    assert.equal(again.output_text, first.output_text);
    const stream = await client.responses.create({
      model,
      input: "Who am I?",
      previous_response_id: first.id,
      stream: true,
    });
    let last;
    for await (const event of stream) last = event;
    assert.equal(last.type, "response.completed");
    assert.match(last.response.output[0].content[0].text, /user: My name is Ada\./);
  },
  async "a wait that is told"() {
    const input = "Read this slowly. Name a river.";
    const messages = [{ role: "user", content: input }];
    const asked = { model, messages, stream: true, return_progress: true };
    let told = 0;
    let text = "";
    for await (const chunk of await client.chat.completions.create(asked)) {
      told += "prompt_progress" in chunk;
      text += chunk.choices[0]?.delta.content ?? "";
    }
    assert.match(text, /user: Read this slowly\. Name a river\./);
    assert.ok(told > 2, `${told} chunks tell how far it is`);
    const final = await client.chat.completions.stream(asked).finalContent();
    assert.equal(final, text);
    const stream = client.responses.stream({ model, input, store: false });
    let repeated = 0;
    stream.on("response.in_progress", (event) => (repeated += "prompt_progress" in event));
    assert.equal((await stream.finalResponse()).output_text, text);
    assert.ok(repeated > 0);
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(name);
}
