// The key of this tab, asked for once: it is kept in the tab alone, and goes with each request.

import { signal } from '@preact/signals'

const STORED_AS = 'llm_api.key'

/** Why a key is asked for now; null where none is. */
export const asked = signal<{ wasRefused: boolean } | null>(null)

let waiting: Array<() => void> = []

export function key(): string | null {
  return sessionStorage.getItem(STORED_AS)
}

/** Resolves once a person has given a key. Requests that wait for one share the question. */
export function askForKey(): Promise<void> {
  asked.value ??= { wasRefused: key() !== null }
  return new Promise((resolve) => waiting.push(resolve))
}

/** Requests that waited go on with it; a wrong one is asked for again. */
export function giveKey(text: string): void {
  sessionStorage.setItem(STORED_AS, text)
  asked.value = null
  const all = waiting
  waiting = []
  for (const resolve of all) resolve()
}

export function forgetKey(): void {
  sessionStorage.removeItem(STORED_AS)
  location.reload()
}
