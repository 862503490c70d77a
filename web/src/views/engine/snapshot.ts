// What `GET /v1/engine` says, and what is reckoned of it for the eye. Pure.

export interface Run {
  kind: 'shared' | 'prompt' | 'answer' | 'unread' | 'kept'
  tokens: number
}

export interface Slot {
  index: number
  state: 'idle' | 'reading' | 'writing'
  request: string | null
  runs: Run[]
}

export interface Tier {
  tier: string
  tokens: number
  bytes: number
  limit_bytes: number
}

/** Tokens guessed ahead: by what an answer repeats, or by a draft model. */
export interface Drafts {
  kind: 'lookup' | 'model'
  drafted: number
  accepted: number
  is_on: boolean
}

/** By second: the oldest first, the running one last. */
export interface History {
  read_tokens: number[]
  written_tokens: number[]
  steps: number[]
  sequences: number[]
}

export interface EngineOfModel {
  running: number
  waiting: number
  parallel: number
  /** Requests that may run or wait. */
  capacity: number
  preemptions: number
  read_tokens_per_second: number | null
  written_tokens_per_second: number | null
  kv: { running: number; reusable: number; free: number } | null
  tiers: Tier[]
  drafts: Drafts[]
  slots: Slot[]
  history: History
}

export interface Replica {
  name: string
  is_well: boolean
  running: number
}

export interface ServedModel {
  id: string
  backend: string
  state: string
  pinned: boolean
  size_bytes: number | null
  context_length: number | null
  engine: EngineOfModel | null
  replicas: Replica[]
}

export interface LiveRequest {
  id: string
  path: string
  model: string | null
  key: string | null
  state: 'waiting' | 'reading' | 'writing'
  place_in_queue: number
  prompt_tokens: number | null
  cached_tokens: number
  read_tokens: number
  left_tokens: number
  written_tokens: number
  max_tokens: number | null
  tokens_per_second: number | null
  seconds_left: number | null
  waited_seconds: number
  read_seconds: number
  written_seconds: number
}

export interface EndedRequest {
  id: string
  path: string
  model: string | null
  key: string | null
  status: number | null
  ended: number
  waited_seconds: number | null
  read_seconds: number | null
  written_seconds: number | null
  prompt_tokens: number | null
  cached_tokens: number | null
  completion_tokens: number | null
}

export interface Snapshot {
  time: number
  worker: string | null
  version: string
  uptime_seconds: number
  memory_bytes: number | null
  models: ServedModel[]
  queue: { key: string | null; waiting: number; reading: number; writing: number }[]
  requests: LiveRequest[]
  recent: EndedRequest[]
}

export const RUN_WORDS: Record<Run['kind'], string> = {
  shared: 'shared prefix',
  prompt: 'own prompt',
  answer: 'answer',
  unread: 'not yet read',
  kept: 'kept for later',
}

/** The tokens of a slot in words: "shared prefix 120, answer 30 tokens". */
export function slotWords(slot: Slot): string {
  const runs = slot.runs.filter(({ tokens }) => tokens > 0)
  if (!runs.length) return `Slot ${slot.index}: empty`
  return `Slot ${slot.index}, ${slot.state}: ${runs.map(({ kind, tokens }) => `${RUN_WORDS[kind]} ${tokens}`).join(', ')} tokens`
}

/** What became of guesses in words: "by lookup 1200 tokens, 75 % right"; nothing where there were none. */
export function draftWords(drafts: Drafts[]): string {
  return drafts
    .filter(({ drafted, kind }) => drafted || kind === 'model')
    .map(({ kind, drafted, accepted, is_on }) => {
      const who = kind === 'model' ? 'by the draft model' : 'by lookup'
      const right = drafted ? `, ${Math.round((100 * accepted) / drafted)} % right` : ''
      return `${who} ${drafted} tokens${right}${is_on ? '' : ' (not at present)'}`
    })
    .join('; ')
}

/** How many tokens a bar's whole width stands for: so that the fullest slot is seen well. */
export function scaleOf(slots: Slot[], contextLength: number): number {
  const fullest = Math.max(1, ...slots.map(({ runs }) => runs.reduce((sum, { tokens }) => sum + tokens, 0)))
  let scale = 128
  while (scale < fullest) scale *= 2
  return Math.min(Math.max(scale, 128), Math.max(contextLength, fullest))
}

/** The counts of the seconds that have ended. */
export function ended(counts: number[]): number[] {
  return counts.slice(0, -1)
}

/** The mean of the last few seconds: a number that can be read. */
export function lately(counts: number[], seconds = 3): number {
  const last = counts.slice(-seconds)
  return last.length ? last.reduce((sum, count) => sum + count, 0) / last.length : 0
}

/** The cells of an engine's buffer. */
export function cellsOf({ running, reusable, free }: NonNullable<EngineOfModel['kv']>): number {
  return Math.max(1, running + reusable + free)
}

/** Mean sequences of a step, by second; 0 where nothing was computed. */
export function batchSizes({ steps, sequences }: History): number[] {
  return steps.slice(0, -1).map((count, index) => (count ? (sequences[index] ?? 0) / count : 0))
}

export interface Journey {
  waited: number
  read: number
  wrote: number
}

export function journeyOf(one: { [name in 'waited_seconds' | 'read_seconds' | 'written_seconds']: number | null }): Journey {
  return { waited: one.waited_seconds ?? 0, read: one.read_seconds ?? 0, wrote: one.written_seconds ?? 0 }
}
