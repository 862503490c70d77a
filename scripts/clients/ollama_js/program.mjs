// Ollama's official JavaScript library: chat, calls, a schema, a prompt, and what is there.
import assert from "node:assert/strict";
import { Ollama } from "ollama";

const model = process.env.MODEL;
const client = new Ollama({ host: process.env.ROOT_URL });
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const river = [{ role: "user", content: "Name a river." }];

const steps = {
  async "whole and streamed"() {
    const whole = await client.chat({ model, messages: river });
    assert.match(whole.message.content, /user: Name a river\./);
    let text = "";
    let last;
    for await (const part of await client.chat({ model, messages: river, stream: true })) {
      text += part.message.content;
      last = part;
    }
    assert.equal(text, whole.message.content);
    assert.deepEqual([last.done, last.done_reason, last.eval_count], [true, "stop", whole.eval_count]);
  },
  async calls() {
    const messages = [{ role: "user", content: "The weather in Oslo and in Rome?" }];
    const first = await client.chat({ model, messages, tools: [weather], think: true });
    assert.equal(first.message.thinking, "Step 1 is to call weather.");
    messages.push(first.message);
    for (const call of first.message.tool_calls) {
      const content = `rain in ${call.function.arguments.city}`;
      messages.push({ role: "tool", content, tool_name: call.function.name });
    }
    const second = await client.chat({ model, messages, tools: [weather] });
    assert.match(second.message.content, /rain in Oslo \| rain in Rome/);
  },
  async "a schema"() {
    const format = {
      type: "object",
      properties: { city: { type: "string" }, degrees: { type: "integer" } },
      required: ["city", "degrees"],
    };
    const messages = [{ role: "user", content: "Oslo's weather as an object." }];
    const answer = await client.chat({ model, messages, format });
    assert.deepEqual(JSON.parse(answer.message.content), { city: "Oslo", degrees: 7 });
  },
  async "a prompt"() {
    const answer = await client.generate({ model, prompt: "Name a river." });
    assert.match(answer.response, /user: Name a river\./);
  },
  async models() {
    const { models } = await client.list();
    assert.ok(models.some((one) => one.model === `${model}:latest`));
    assert.ok((await client.show({ model })).capabilities.includes("tools"));
    assert.ok((await client.version()).version);
    await client.ps();
  },
  async "a wait that is told"() {
    const messages = [{ role: "user", content: "Read this slowly. Name a river." }];
    let told = 0;
    let text = "";
    for await (const part of await client.chat({ model, messages, stream: true })) {
      told += "prompt_progress" in part;
      text += part.message.content;
    }
    assert.match(text, /user: Read this slowly\. Name a river\./);
    assert.ok(told > 0);
  },
  async errors() {
    await assert.rejects(client.chat({ model: "nobody", messages: river }), (error) => {
      assert.equal(error.status_code, 404);
      assert.match(error.message, /nobody/);
      return true;
    });
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(name);
}
