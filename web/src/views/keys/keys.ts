// Keys and their use, as the server tells them, and what is reckoned for the eye.

import { get } from '../../api/client'
import { source } from '../../api/load'
import type { Day } from '../../ui/chart'

export interface Limits {
  requests_per_minute: number | null
  tokens_per_minute: number | null
  tokens_per_day: number | null
  concurrency: number | null
}

export interface Key extends Limits {
  name: string
  origin: 'file' | 'settings'
  scopes: string[]
  models: string[] | null
  collections: Record<string, string> | null
  in_force: Limits
  created: string | null
}

export interface KeyList {
  data: Key[]
  problem: string | null
}

export interface UsageDay {
  date: string
  key: string
  model: string
  kind: string
  requests: number
  prompt_tokens: number
  completion_tokens: number
  cached_tokens: number
}

export interface UsageList {
  data: UsageDay[]
  is_counted: boolean
}

export const SCOPES: [string, string][] = [
  ['generate', 'have models write'],
  ['embed', 'make vectors, and rank texts'],
  ['rag', 'store, find and ask documents'],
  ['functions', 'run functions'],
  ['admin', 'watch the engine, manage models and keys'],
]

export const LIMITS: [keyof Limits, string][] = [
  ['requests_per_minute', 'Requests a minute'],
  ['tokens_per_minute', 'Tokens a minute'],
  ['tokens_per_day', 'Tokens a day'],
  ['concurrency', 'Requests at once'],
]

export const DAYS = 30

export const keys = source(() => get<KeyList>('/v1/keys'))

/** In one line: "60 requests a minute, 2 at once"; "without limit". Pure. */
export function limitWords(limits: Limits): string {
  const words = LIMITS.filter(([name]) => limits[name] !== null).map(([name, label]) => `${label.toLowerCase()}: ${limits[name]!.toLocaleString('en')}`)
  return words.join(', ') || 'without limit'
}

/** The limits as a form has them: texts, empty where the server's default holds. Pure. */
export function entered(key: Limits | null): Record<keyof Limits, string> {
  return Object.fromEntries(LIMITS.map(([name]) => [name, key?.[name]?.toString() ?? ''])) as Record<keyof Limits, string>
}

/** What was entered, as it is sent; null where a text is no whole number above 0. Pure. */
export function limitsOf(texts: Record<keyof Limits, string>): Limits | null {
  const found: Partial<Limits> = {}
  for (const [name] of LIMITS) {
    const text = texts[name].trim()
    if (text !== '' && !/^[1-9]\d{0,14}$/.test(text)) return null
    found[name] = text === '' ? null : Number(text)
  }
  return found as Limits
}

/** A bar for each of the last days, today at the end: what was read anew, read before, and written. Pure. */
export function barsOf(used: UsageDay[], today: Date, days = DAYS): Day[] {
  return Array.from({ length: days }, (_, index) => {
    const date = new Date(today.getTime() - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10)
    const rows = used.filter((row) => row.date === date)
    const sum = (of: (row: UsageDay) => number) => rows.reduce((total, row) => total + of(row), 0)
    return {
      date,
      parts: [
        { name: 'answers', tone: 1, value: sum((row) => row.completion_tokens) },
        { name: 'read anew', tone: 2, value: sum((row) => row.prompt_tokens - row.cached_tokens) },
        { name: 'from the cache', tone: 4, value: sum((row) => row.cached_tokens) },
      ],
    }
  })
}

export interface ModelSum {
  model: string
  requests: number
  prompt: number
  cached: number
  answers: number
}

/** What was used of each model, the most first. Pure. */
export function byModel(used: UsageDay[]): ModelSum[] {
  const sums = new Map<string, ModelSum>()
  for (const row of used) {
    const sum = sums.get(row.model) ?? { model: row.model, requests: 0, prompt: 0, cached: 0, answers: 0 }
    sum.requests += row.requests
    sum.prompt += row.prompt_tokens
    sum.cached += row.cached_tokens
    sum.answers += row.completion_tokens
    sums.set(row.model, sum)
  }
  return [...sums.values()].sort((one, other) => other.prompt + other.answers - one.prompt - one.answers)
}
