// Which view the address shows: `#/view/part/part?name=value`. Links are plain `<a href="#/…">`.

import { signal } from '@preact/signals'

export interface Place {
  view: string
  parts: string[]
  query: URLSearchParams
}

/** The place that an address' hash names. Pure. */
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const [view = '', ...parts] = path.split('/').filter(Boolean).map(decode)
  return { view: view || 'talk', parts, query: new URLSearchParams(query) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The hash of a place. Pure. */
export function hashOf(view: string, parts: string[] = [], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString()
  return `#/${[view, ...parts].map(encodeURIComponent).join('/')}${search && `?${search}`}`
}

export const place = signal<Place>(placeOf(location.hash))

addEventListener('hashchange', () => {
  place.value = placeOf(location.hash)
})

export function go(view: string, parts: string[] = [], query: Record<string, string> = {}): void {
  location.hash = hashOf(view, parts, query)
}

/** Names the place anew, without a step that "back" would undo. */
export function rename(view: string, parts: string[] = [], query: Record<string, string> = {}): void {
  history.replaceState(null, '', hashOf(view, parts, query))
  place.value = placeOf(location.hash)
}
