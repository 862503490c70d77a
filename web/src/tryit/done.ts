// What was just asked of the server, so that it can be shown as a program would ask it.

import { signal } from '@preact/signals'

export interface Done {
  method: string
  /** As the page asked: `/v1/models?limit=3`. */
  path: string
  json?: unknown
  /** The names of files, and other fields, of a form that was sent. */
  form?: { name: string; value: string; isFile: boolean }[]
}

const MOST = 12

/** The newest first; of requests that are alike, the last. */
export const recent = signal<Done[]>([])

export function note(done: Done): void {
  const kind = kindOf(done)
  recent.value = [done, ...recent.peek().filter((one) => kindOf(one) !== kind)].slice(0, MOST)
}

/** Requests of one kind differ in their ids and contents. Pure. */
export function kindOf({ method, path }: Done): string {
  return `${method} ${path.replace(/\?.*/, '').replace(/\/(?=[^/]*\d)[^/]{6,}/g, '/…').replace(/^\/…/, '/v1')}`
}

/** What a person did before what the page looked up by itself. Pure. */
export function sorted(all: Done[]): Done[] {
  const isDeed = ({ method }: Done) => method !== 'GET'
  return [...all.filter(isDeed), ...all.filter((one) => !isDeed(one))]
}

export function formOf(form: FormData): Done['form'] {
  return [...form.entries()].map(([name, value]) => ({
    name,
    value: typeof value === 'string' ? value : value.name,
    isFile: typeof value !== 'string',
  }))
}
