// The official JavaScript SDK on Messages: whole, streamed, calls, thoughts, tokens.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const model = process.env.MODEL;
const client = new Anthropic({ baseURL: process.env.ROOT_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const max_tokens = 4096;
const weather = {
  name: "weather",
  description: "The weather in a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const river = [{ role: "user", content: "Name a river." }];
const asked = { role: "user", content: "The weather in Oslo and in Rome?" };

const steps = {
  async "whole and streamed"() {
    const whole = await client.messages.create({ model, max_tokens, messages: river });
    assert.match(whole.content[0].text, /user: Name a river\./);
    const stream = client.messages.stream({ model, max_tokens, messages: river });
    let deltas = "";
    stream.on("text", (delta) => (deltas += delta));
    const final = await stream.finalMessage();
    assert.equal(deltas, whole.content[0].text);
    assert.deepEqual(final.content, whole.content);
    assert.equal(final.stop_reason, "end_turn");
    assert.ok(final.usage.output_tokens > 0 && final.usage.output_tokens === whole.usage.output_tokens);
  },
  async "calls and thoughts in a stream"() {
    const request = { model, max_tokens, tools: [weather], thinking: { type: "enabled", budget_tokens: 1024 } };
    const first = await client.messages.stream({ ...request, messages: [asked] }).finalMessage();
    assert.equal(first.stop_reason, "tool_use");
    assert.equal(first.content[0].thinking, "Step 1 is to call weather.");
    const made = first.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(made.map((block) => block.input), [{ city: "Oslo" }, { city: "Rome" }]);
    const content = made.map((block, at) => ({
      type: "tool_result",
      tool_use_id: block.id,
      content: [{ type: "text", text: `${block.name} ${at}` }],
    }));
    const messages = [asked, { role: "assistant", content: first.content }, { role: "user", content }];
    const second = await client.messages.stream({ ...request, messages }).finalText();
    assert.match(second, /1 thoughts known\. Results: weather 0 \| weather 1/);
  },
  async citations() {
    const data = "The lighthouse was built in 1871. Its keeper is Tobias Lund.";
    const source = { type: "text", media_type: "text/plain", data };
    const content = [
      { type: "document", source, citations: { enabled: true } },
      { type: "text", text: "Who keeps the lighthouse?" },
    ];
    const request = { model, max_tokens, messages: [{ role: "user", content }] };
    const whole = await client.messages.create(request);
    const streamed = await client.messages.stream(request).finalMessage();
    for (const message of [whole, streamed]) {
      const [cited] = message.content.flatMap((block) => block.citations ?? []);
      assert.equal(cited.type, "char_location");
      assert.equal(cited.cited_text, data.slice(cited.start_char_index, cited.end_char_index));
    }
  },
  async "tokens and models"() {
    const { input_tokens } = await client.messages.countTokens({ model, messages: river });
    assert.ok(input_tokens > 0);
    const names = [];
    for await (const one of client.models.list()) names.push(one.id);
    assert.ok(names.includes(model));
  },
  async "a wait that is told"() {
    const messages = [{ role: "user", content: "Read this slowly. Name a river." }];
    const kinds = [];
    let text = "";
    const stream = client.messages.stream({ model, max_tokens, messages });
    stream.on("streamEvent", (event) => kinds.push(event.type));
    stream.on("text", (delta) => (text += delta));
    const final = await stream.finalMessage();
    assert.match(text, /user: Read this slowly\. Name a river\./);
    assert.deepEqual(final.content, [{ ...final.content[0], type: "text", text }]);
    assert.deepEqual([kinds[0], kinds.at(-1)], ["message_start", "message_stop"]);
  },
  async errors() {
    const request = client.messages.create({ model: "nobody", max_tokens, messages: river });
    await assert.rejects(request, (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.equal(error.type, "not_found_error");
      return true;
    });
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(name);
}
