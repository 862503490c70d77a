// One request as curl, as Python with the openai SDK, and as JavaScript. No key stands in any. Pure.

import type { Done } from './done'

export type Language = 'curl' | 'python' | 'javascript'

/** Ready to run where `API_KEY` is set. `base` is the server's address, without a slash at its end. */
export function snippet(language: Language, done: Done, base: string): string {
  switch (language) {
    case 'curl':
      return curl(done, base)
    case 'python':
      return python(done, base)
    case 'javascript':
      return javascript(done, base)
  }
}

/** A text for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function curl({ method, path, json, form }: Done, base: string): string {
  const lines = [`curl ${isStreamed(json) || streams(path) ? '-N ' : ''}${method === 'GET' || method === 'POST' ? '' : `-X ${method} `}${quoted(base + path)}`, `-H "Authorization: Bearer $API_KEY"`]
  if (method === 'POST' && json === undefined && !form) lines[0] = `curl -X POST ${quoted(base + path)}`
  if (json !== undefined) lines.push(`-H "Content-Type: application/json"`, `-d ${quoted(JSON.stringify(json, null, 2))}`)
  for (const { name, value, isFile } of form ?? []) lines.push(isFile ? `-F ${quoted(`${name}=@${value}`)}` : `--form-string ${quoted(`${name}=${value}`)}`)
  return lines.join(' \\\n  ')
}

/** A value as Python writes it. */
export function pythonValue(value: unknown, indent = ''): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return pythonText(value)
  const deeper = `${indent}    `
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((one) => `${deeper}${pythonValue(one, deeper)},\n`).join('')}${indent}]` : '[]'
  }
  const entries = Object.entries(value)
  return entries.length ? `{\n${entries.map(([name, one]) => `${deeper}${pythonText(name)}: ${pythonValue(one, deeper)},\n`).join('')}${indent}}` : '{}'
}

/** JSON's texts are Python's, but for what is beyond 16 bits, which JSON writes as it is. */
function pythonText(text: string): string {
  return JSON.stringify(text)
}

const METHODS: Record<string, string> = {
  'POST /v1/chat/completions': 'chat.completions.create',
  'POST /v1/completions': 'completions.create',
  'POST /v1/responses': 'responses.create',
  'POST /v1/embeddings': 'embeddings.create',
  'GET /v1/models': 'models.list',
  'GET /v1/files': 'files.list',
  'GET /v1/vector_stores': 'vector_stores.list',
}

/** What each of the SDK's methods knows by name; the rest goes into `extra_body`. */
const KNOWN: Record<string, string[]> = {
  'POST /v1/chat/completions': ['model', 'messages', 'stream', 'stream_options', 'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'stop', 'seed', 'n', 'tools', 'tool_choice', 'response_format', 'presence_penalty', 'frequency_penalty', 'logprobs', 'top_logprobs', 'reasoning_effort', 'user', 'metadata', 'store'],
  'POST /v1/completions': ['model', 'prompt', 'stream', 'temperature', 'top_p', 'max_tokens', 'stop', 'seed', 'n', 'echo', 'suffix'],
  'POST /v1/responses': ['model', 'input', 'instructions', 'stream', 'store', 'background', 'conversation', 'previous_response_id', 'temperature', 'top_p', 'max_output_tokens', 'tools', 'tool_choice', 'reasoning', 'include', 'metadata', 'truncation', 'text', 'user'],
  'POST /v1/embeddings': ['model', 'input', 'dimensions', 'encoding_format', 'user'],
}

function python(done: Done, base: string): string {
  const { method, path, json, form } = done
  const head = `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${pythonText(`${base}/v1`)}, api_key=os.environ.get("API_KEY", "none"))\n`
  const route = `${method} ${path.replace(/\?.*/, '')}`
  const known = METHODS[route]
  if (known && !form && !path.includes('?')) return head + pythonKnown(known, KNOWN[route] ?? [], (json ?? {}) as Record<string, unknown>)
  return head + pythonAny(done, base)
}

function pythonKnown(name: string, known: string[], body: Record<string, unknown>): string {
  const own = Object.entries(body).filter(([field]) => known.includes(field))
  const more = Object.entries(body).filter(([field]) => !known.includes(field))
  const lines = own.map(([field, value]) => `    ${field}=${pythonValue(value, '    ')},\n`)
  if (more.length) lines.push(`    extra_body=${pythonValue(Object.fromEntries(more), '    ')},\n`)
  const call = lines.length ? `client.${name}(\n${lines.join('')})` : `client.${name}()`
  if (body.stream === true) return `for event in ${call}:\n    print(event.model_dump_json())\n`
  return `answer = ${call}\nprint(answer.model_dump_json(indent=2))\n`
}

/** Through the SDK's plain methods, which need no type of the answer. */
function pythonAny({ method, path, json, form }: Done, base: string): string {
  if (streams(path)) {
    return `import httpx\n\nheaders = {"Authorization": f"Bearer {client.api_key}"}\nwith httpx.stream("GET", ${pythonText(base + path)}, headers=headers, timeout=None) as answer:\n    for line in answer.iter_lines():\n        print(line)\n`
  }
  const lines = [`    ${pythonText(base + path)},\n`, '    cast_to=object,\n']
  if (json !== undefined) lines.push(`    body=${pythonValue(json, '    ')},\n`)
  if (form) {
    const fields = Object.fromEntries(form.filter(({ isFile }) => !isFile).map(({ name, value }) => [name, value]))
    const files = form.filter(({ isFile }) => isFile).map(({ name, value }) => `(${pythonText(name)}, open(${pythonText(value)}, "rb"))`)
    lines.push(`    body=${pythonValue(fields, '    ')},\n`, `    files=[${files.join(', ')}],\n`, '    options={"headers": {"Content-Type": "multipart/form-data"}},\n')
  }
  return `import json\n\nanswer = client.${method.toLowerCase()}(\n${lines.join('')})\nprint(json.dumps(answer, indent=2))\n`
}

function javascript({ method, path, json, form }: Done, base: string): string {
  const lines = method === 'GET' ? [] : [`  method: ${JSON.stringify(method)},`]
  const headers = ['    Authorization: `Bearer ${process.env.API_KEY}`,']
  if (json !== undefined) headers.push(`    'Content-Type': 'application/json',`)
  lines.push('  headers: {', ...headers, '  },')
  let before = ''
  if (json !== undefined) lines.push(`  body: JSON.stringify(${JSON.stringify(json, null, 2).replaceAll('\n', '\n  ')}),`)
  if (form) {
    before = `import { openAsBlob } from 'node:fs'\n\nconst form = new FormData()\n${form
      .map(({ name, value, isFile }) =>
        isFile ? `form.append(${JSON.stringify(name)}, await openAsBlob(${JSON.stringify(value)}), ${JSON.stringify(value)})\n` : `form.append(${JSON.stringify(name)}, ${JSON.stringify(value)})\n`,
      )
      .join('')}\n`
    lines.push('  body: form,')
  }
  const call = `const response = await fetch(${JSON.stringify(base + path)}, {\n${lines.join('\n')}\n})\n`
  const after =
    isStreamed(json) || streams(path)
      ? `for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {\n  process.stdout.write(piece)\n}\n`
      : `console.log(JSON.stringify(await response.json(), null, 2))\n`
  return before + call + after
}

function isStreamed(json: unknown): boolean {
  return (json as { stream?: unknown } | undefined)?.stream === true
}

function streams(path: string): boolean {
  return path.endsWith('/stream')
}
