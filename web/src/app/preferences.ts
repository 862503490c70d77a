// What a person likes, kept in the browser: the look, a model, sampling. No words of a conversation.

import { effect, signal, type Signal } from '@preact/signals'

/** A signal that the next visit begins with. A value that cannot be read is the initial one. */
export function preference<T>(name: string, initial: T): Signal<T> {
  const storedAs = `llm_api.${name}`
  const kept = signal<T>(read(storedAs) ?? initial)
  effect(() => localStorage.setItem(storedAs, JSON.stringify(kept.value)))
  return kept
}

function read<T>(storedAs: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(storedAs) ?? 'null') as T | null
  } catch {
    return null
  }
}
