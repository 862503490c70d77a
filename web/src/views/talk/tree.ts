// A thread as a tree: which turns go on from which, and which branch is looked at. Pure.

import type { Turn } from '../../api/responses'

export const previousOf = (turn: Turn): string | null => turn.response.previous_response_id

/** The turns that lead to `leaf`, oldest first. */
export function pathTo(turns: Turn[], leaf: string | null): Turn[] {
  const byId = new Map(turns.map((turn) => [turn.response.id, turn]))
  const path: Turn[] = []
  let next = leaf === null ? undefined : byId.get(leaf)
  while (next && path.length < turns.length) {
    path.push(next)
    const previous = previousOf(next)
    next = previous === null ? undefined : byId.get(previous)
  }
  return path.reverse()
}

/** The turns that go on from the same one, oldest first; the turn itself is one of them. */
export function siblingsOf(turns: Turn[], turn: Turn): Turn[] {
  return turns.filter((other) => previousOf(other) === previousOf(turn))
}

/** The newest turn that goes on from `id`, however far: what a branch shows. */
export function newestBelow(turns: Turn[], id: string): string {
  const children = turns.filter((turn) => previousOf(turn) === id)
  const newest = children.at(-1)
  return newest ? newestBelow(turns, newest.response.id) : id
}
