// One prompt to two models, or with two settings, at the same time: what each says, and how fast.

import { signal, type Signal } from '@preact/signals'
import { stream, told } from '../../api/client'

export interface Settings {
  model: string
  system: string
  temperature: string
  maxTokens: string
}

export interface Lane {
  state: 'ready' | 'running' | 'done' | 'failed' | 'stopped'
  text: string
  thinking: string
  failure: string
  began: number
  firstWord: number | null
  ended: number | null
  pieces: number
  promptTokens: number | null
  cachedTokens: number | null
  answerTokens: number | null
}

/** A speed that was measured over less says nothing. */
const SHORTEST_SECONDS = 0.05

interface Chunk {
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[]
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } | null } | null
  error?: { message: string }
}

export const EMPTY: Lane = {
  state: 'ready',
  text: '',
  thinking: '',
  failure: '',
  began: 0,
  firstWord: null,
  ended: null,
  pieces: 0,
  promptTokens: null,
  cachedTokens: null,
  answerTokens: null,
}

/** The body that is sent for these settings. Pure. */
export function bodyOf(prompt: string, { model, system, temperature, maxTokens }: Settings): Record<string, unknown> {
  const messages = [...(system.trim() ? [{ role: 'system', content: system }] : []), { role: 'user', content: prompt }]
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...(temperature.trim() && { temperature: Number(temperature) }),
    ...(maxTokens.trim() && { max_tokens: Number(maxTokens) }),
  }
}

/** A lane after one more chunk. Pure. */
export function after(lane: Lane, chunk: Chunk, now: number): Lane {
  const delta = chunk.choices?.[0]?.delta
  const text = delta?.content ?? ''
  const thinking = delta?.reasoning_content ?? ''
  const usage = chunk.usage
  return {
    ...lane,
    text: lane.text + text,
    thinking: lane.thinking + thinking,
    pieces: lane.pieces + (text || thinking ? 1 : 0),
    firstWord: lane.firstWord ?? (text || thinking ? now : null),
    ...(usage && {
      promptTokens: usage.prompt_tokens,
      answerTokens: usage.completion_tokens,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
    }),
  }
}

export interface Figures {
  firstWordSeconds: number | null
  tokens: number
  tokensPerSecond: number | null
  wholeSeconds: number
}

/** What is told of a lane, at `now` in milliseconds. Pure. */
export function figuresOf(lane: Lane, now: number): Figures {
  const ended = lane.ended ?? now
  const tokens = lane.answerTokens ?? lane.pieces
  const writing = lane.firstWord === null ? 0 : (ended - lane.firstWord) / 1000
  return {
    firstWordSeconds: lane.firstWord === null ? null : (lane.firstWord - lane.began) / 1000,
    tokens,
    tokensPerSecond: tokens > 1 && writing >= SHORTEST_SECONDS ? (tokens - 1) / writing : null,
    wholeSeconds: lane.state === 'ready' ? 0 : (ended - lane.began) / 1000,
  }
}

export const lanes: [Signal<Lane>, Signal<Lane>] = [signal(EMPTY), signal(EMPTY)]
let running: AbortController | null = null

/** Asks both at once. A race that runs is ended. */
export async function race(prompt: string, settings: [Settings, Settings]): Promise<void> {
  running?.abort()
  const own = new AbortController()
  running = own
  await Promise.all(settings.map((one, index) => run(lanes[index as 0 | 1], bodyOf(prompt, one), own.signal)))
}

export function stop(): void {
  running?.abort()
}

async function run(lane: Signal<Lane>, json: unknown, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  let now: Lane = { ...EMPTY, state: 'running', began }
  let frame = 0
  const show = () => {
    frame = 0
    if (!signal.aborted || now.state === 'stopped') lane.value = now
  }
  const soon = () => {
    frame ||= requestAnimationFrame(show)
  }
  lane.value = now
  try {
    for await (const { data } of stream('/v1/chat/completions', { json, signal })) {
      if (data === '[DONE]') break
      const chunk = JSON.parse(data) as Chunk
      if (chunk.error) throw new Error(chunk.error.message)
      now = after(now, chunk, performance.now())
      soon()
    }
    now = { ...now, state: 'done', ended: performance.now() }
  } catch (error) {
    const ended = performance.now()
    now = signal.aborted ? { ...now, state: 'stopped', ended } : { ...now, state: 'failed', failure: told(error), ended }
  }
  cancelAnimationFrame(frame)
  show()
}
