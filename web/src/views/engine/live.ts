// The engine's snapshots as they come: asked for only while somebody looks.

import { signal } from '@preact/signals'
import { ApiError, stream, told } from '../../api/client'
import type { Snapshot } from './snapshot'

export const snapshot = signal<Snapshot | null>(null)
export const trouble = signal<{ text: string; status: number } | null>(null)

const AGAIN_MILLISECONDS = 2000

/** Follows the engine until `signal` ends it, and through the server's restarts. */
export async function follow(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const { data } of stream('/v1/engine/stream', { signal })) {
        snapshot.value = JSON.parse(data) as Snapshot
        trouble.value = null
      }
    } catch (error) {
      if (signal.aborted) return
      const status = error instanceof ApiError ? error.status : 0
      trouble.value = { text: told(error), status }
      if (status === 403 || status === 404) return
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS))
  }
}

/** Looks while the tab is seen; what this returns looks away. */
export function look(): () => void {
  let looking: AbortController | null = null
  const turn = () => {
    looking?.abort()
    looking = null
    if (document.hidden) return
    looking = new AbortController()
    void follow(looking.signal)
  }
  document.addEventListener('visibilitychange', turn)
  turn()
  return () => {
    document.removeEventListener('visibilitychange', turn)
    looking?.abort()
  }
}
