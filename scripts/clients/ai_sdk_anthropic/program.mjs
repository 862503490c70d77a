// The AI SDK's provider for Messages: turns, a tool that it calls itself, thoughts, a schema.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const anthropic = createAnthropic({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY });
const model = anthropic(process.env.MODEL);
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});

const steps = {
  async "two turns"() {
    const messages = [{ role: "user", content: "My name is Ada." }];
    const first = await generateText({ model, messages, maxRetries: 0 });
    messages.push(...first.response.messages, { role: "user", content: "Who am I?" });
    const second = await generateText({ model, messages, maxRetries: 0 });
    assert.match(second.text, /^3 turns\. user: My name is Ada\. \/ assistant: 1 turns/);
  },
  async "calls and thoughts in a stream"() {
    const stream = streamText({
      model,
      prompt: "The weather in Oslo and in Rome?",
      tools: { weather },
      stopWhen: stepCountIs(3),
      maxRetries: 0,
      providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
      onError: ({ error }) => {
        throw error;
      },
    });
    let text = "";
    for await (const part of stream.textStream) text += part;
    assert.match(text, /1 thoughts known\. Results: rain in Oslo \| rain in Rome/);
    const usage = await stream.totalUsage;
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  },
  async "a wait that is told"() {
    const stream = streamText({
      model,
      prompt: "Read this slowly. Name a river.",
      maxRetries: 0,
      onError: ({ error }) => {
        throw error;
      },
    });
    assert.match(await stream.text, /user: Read this slowly\. Name a river\./);
  },
  async "a schema"() {
    const output = Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) });
    const answer = await generateText({ model, prompt: "Oslo's weather as an object.", output, maxRetries: 0 });
    assert.deepEqual(answer.output, { city: "Oslo", degrees: 7 });
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(name);
}
