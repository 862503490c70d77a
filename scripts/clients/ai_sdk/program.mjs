// The AI SDK: two turns with its default `store`, a tool that it calls itself, a search of files.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY });
const model = openai(process.env.MODEL);
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});

const steps = {
  async "two turns by item reference"() {
    const messages = [{ role: "user", content: "My name is Ada." }];
    const first = await generateText({ model, messages, maxRetries: 0 });
    messages.push(...first.response.messages, { role: "user", content: "Who am I?" });
    const second = await generateText({ model, messages, maxRetries: 0 });
    assert.match(second.text, /^3 turns\. user: My name is Ada\. \/ assistant: 1 turns/);
  },
  async "calls in a stream"() {
    const stream = streamText({
      model,
      prompt: "The weather in Oslo and in Rome?",
      tools: { weather },
      stopWhen: stepCountIs(3),
      maxRetries: 0,
      onError: ({ error }) => {
        throw error;
      },
    });
    let text = "";
    for await (const part of stream.textStream) text += part;
    assert.match(text, /rain in Oslo \| rain in Rome/);
    const usage = await stream.totalUsage;
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  },
  async "a wait that is told"() {
    const prompt = "Read this slowly. Name a river.";
    const asking = createOpenAI({
      baseURL: process.env.BASE_URL,
      apiKey: process.env.API_KEY,
      fetch: (url, init) =>
        fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), return_progress: true }) }),
    });
    for (const one of [model, asking.chat(process.env.MODEL)]) {
      const stream = streamText({
        model: one,
        prompt,
        maxRetries: 0,
        onError: ({ error }) => {
          throw error;
        },
      });
      assert.match(await stream.text, /user: Read this slowly\. Name a river\./);
    }
  },
  async "a search of files"() {
    await fetch(`${process.env.BASE_URL}/rag/documents`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        collection: "lighthouses",
        documents: [{ id: "keeper", text: "The lighthouse is kept by Tobias Lund." }],
      }),
    });
    const file_search = openai.tools.fileSearch({
      vectorStoreIds: ["lighthouses"],
      maxNumResults: 3,
      ranking: { ranker: "auto", scoreThreshold: 0.2 },
    });
    const messages = [{ role: "user", content: "Who keeps the lighthouse?" }];
    const options = { model, tools: { file_search }, maxRetries: 0 };
    const first = await generateText({ ...options, messages });
    assert.equal(first.text, "Its keeper is Tobias Lund.");
    assert.ok(first.sources.some((source) => source.filename === "keeper"));
    messages.push(...first.response.messages, { role: "user", content: "Who keeps the lighthouse?" });
    const stream = streamText({
      ...options,
      messages,
      onError: ({ error }) => {
        throw error;
      },
    });
    const kinds = [];
    let text = "";
    for await (const part of stream.fullStream) {
      kinds.push(part.type);
      if (part.type === "text-delta") text += part.text;
    }
    assert.equal(text, "Its keeper is Tobias Lund.");
    for (const kind of ["tool-call", "tool-result", "source"]) assert.ok(kinds.includes(kind), kind);
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(name);
}
