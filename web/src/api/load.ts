// What a view reads from the server when it is opened: loading, there, or why not.

import { signal, type ReadonlySignal } from '@preact/signals'
import { told } from './client'

export type Loaded<T> = { state: 'loading' } | { state: 'there'; value: T } | { state: 'failed'; why: string; status: number }

export interface Source<T> {
  readonly now: ReadonlySignal<Loaded<T>>
  /** Reads again; what was there stays until the new is. */
  refresh(): Promise<void>
  /** The value as it is known to be now, without asking. */
  set(value: T): void
}

/** A source that reads nothing until `refresh` is called. The last call wins. */
export function source<T>(read: () => Promise<T>): Source<T> {
  const now = signal<Loaded<T>>({ state: 'loading' })
  let latest = 0
  return {
    now,
    set: (value) => {
      latest += 1
      now.value = { state: 'there', value }
    },
    refresh: async () => {
      const own = ++latest
      if (now.peek().state === 'failed') now.value = { state: 'loading' }
      try {
        const value = await read()
        if (own === latest) now.value = { state: 'there', value }
      } catch (error) {
        const status = (error as { status?: number }).status ?? 0
        if (own === latest) now.value = { state: 'failed', why: told(error), status }
      }
    },
  }
}
