// The conversations of this key, the one that is open, and the answers that are being written.

import { batch, signal } from '@preact/signals'
import { ApiError, get, remove, request, told } from '../../api/client'
import { models } from '../../api/models'
import { hasEnded, take, type Item, type Progress, type ResponseBody, type ResponseEvent, type Turn } from '../../api/responses'
import { readEvents } from '../../api/sse'
import { rename } from '../../app/router'
import { preference } from '../../app/preferences'
import { newestBelow, pathTo, previousOf } from './tree'

export interface ListedThread {
  id: string
  title: string
  updated_at: number
  responses: number
  status: string
}

export interface Settings {
  model: string
  instructions: string
  temperature: string
  topP: string
  maxTokens: string
  functions: string[]
  collection: string
}

/** Of an answer while it is written. Times in milliseconds. */
export interface Live {
  /** What the events are brought into. */
  turn: Turn | null
  startedAt: number
  firstAt: number
  lastAt: number
  deltas: number
  progress: Progress | null
  requestId: string
  lastEvent: number
  stop: AbortController
}

export const settings = preference<Settings>('talk', { model: '', instructions: '', temperature: '', topP: '', maxTokens: '', functions: [], collection: '' })

export const threads = signal<ListedThread[]>([])
export const threadsMore = signal(false)
export const threadsState = signal<'loading' | 'there' | string>('loading')
export const search = signal('')

/** The id of the open thread: that of its first response; null for a new one. */
export const thread = signal<string | null>(null)
export const turns = signal<Turn[]>([])
export const leaf = signal<string | null>(null)
export const opening = signal<'no' | 'yes' | string>('no')
/** A question that is on its way, and has no response yet; or why it got none. */
export const asking = signal<{ input: Item[]; previous: string | null; problem: string } | null>(null)

/** Whether the server keeps what is said; else it is told the whole conversation each time. */
export const isKept = signal(true)

export const live = new Map<string, Live>()
/** Goes up when something of a running answer is to be drawn. */
export const drawn = signal(0)

let isDrawing = false

/** Draws once a frame, however many events come; in a hidden tab, four times a second. */
function draw(): void {
  if (isDrawing) return
  isDrawing = true
  const now = () => {
    isDrawing = false
    drawn.value += 1
  }
  if (document.hidden) setTimeout(now, 250)
  else requestAnimationFrame(now)
}

let latestListing = 0

export async function listThreads(after = ''): Promise<void> {
  const own = ++latestListing
  const query = new URLSearchParams({ limit: '40', ...(after && { after }), ...(search.value.trim() && { query: search.value.trim() }) })
  try {
    const page = await get<{ data: ListedThread[]; has_more: boolean }>(`/v1/responses?${query}`)
    if (own !== latestListing) return
    batch(() => {
      threads.value = after ? [...threads.value, ...page.data] : page.data
      threadsMore.value = page.has_more
      threadsState.value = 'there'
    })
  } catch (error) {
    if (own === latestListing) threadsState.value = told(error)
  }
}

export async function openThread(id: string, at: string | null): Promise<void> {
  if (thread.value === id && turns.value.length) {
    if (at) leaf.value = at
    return
  }
  batch(() => {
    thread.value = id
    turns.value = []
    asking.value = null
    opening.value = 'yes'
  })
  try {
    const found = await get<{ data: Turn[] }>(`/v1/responses/${encodeURIComponent(id)}/thread`)
    if (thread.value !== id) return
    batch(() => {
      turns.value = found.data.map((turn) => live.get(turn.response.id)?.turn ?? turn)
      leaf.value = at ?? found.data.at(-1)?.response.id ?? null
      opening.value = 'no'
    })
    for (const turn of found.data) if (!hasEnded(turn.response) && !live.has(turn.response.id)) void takeUp(turn)
  } catch (error) {
    if (thread.value === id) opening.value = told(error)
  }
}

export function newThread(): void {
  batch(() => {
    thread.value = null
    turns.value = []
    leaf.value = null
    asking.value = null
    opening.value = 'no'
  })
}

export async function deleteThread(id: string): Promise<void> {
  await remove(`/v1/responses/${encodeURIComponent(id)}/thread`)
  threads.value = threads.value.filter((one) => one.id !== id)
  if (thread.value === id) newThread()
}

export function choose(turn: Turn): void {
  leaf.value = newestBelow(turns.value, turn.response.id)
  if (thread.value) rename('talk', [thread.value], { at: leaf.value })
}

export function question(text: string, files: { id: string; name: string }[]): Item[] {
  const content = [...files.map(({ id, name }) => ({ type: 'input_file', file_id: id, filename: name })), { type: 'input_text', text }]
  return [{ type: 'message', role: 'user', content }]
}

/** The same question once more: another answer beside the first. */
export function again(turn: Turn): Promise<void> {
  return ask(turn.input.map(({ id: _, status: __, ...item }) => item as Item), previousOf(turn))
}

export async function ask(input: Item[], previous: string | null): Promise<void> {
  const root = thread.value
  asking.value = { input, previous, problem: '' }
  const body = { ...requestOf(settings.value), ...placeOf(input, previous, root) }
  const stop = new AbortController()
  let turn: Turn | null = null
  try {
    const startedAt = performance.now()
    const response = await request('/v1/responses', { method: 'POST', json: body, signal: stop.signal, headers: { accept: 'text/event-stream' } })
    const running: Live = { turn: null, startedAt, firstAt: 0, lastAt: 0, deltas: 0, progress: null, requestId: response.headers.get('x-request-id') ?? '', lastEvent: -1, stop }
    await follow(response, running, (begun) => {
      turn = running.turn = { input, response: begun }
      live.set(begun.id, running)
      batch(() => {
        if (thread.value === root) {
          turns.value = [...turns.value, turn as Turn]
          leaf.value = begun.id
          asking.value = null
          if (!root && isKept.value) {
            thread.value = begun.id
            rename('talk', [begun.id])
          }
        }
      })
      void watchProgress(begun.id, running)
      return turn.response
    })
    if (turn) await finish(turn)
  } catch (error) {
    if (error instanceof ApiError && error.param === 'background' && isKept.value) {
      isKept.value = false
      return ask(input, previous)
    }
    if (turn && stop.signal.aborted) (turn as Turn).response.status = 'cancelled'
    if (turn) await finish(turn)
    else if (asking.value?.input === input) asking.value = { input, previous, problem: told(error) }
  }
}

/** What a question goes on from, and the question itself. */
function placeOf(input: Item[], previous: string | null, root: string | null): Record<string, unknown> {
  if (!isKept.value) {
    const before = pathTo(turns.value, previous).flatMap((turn) => [...turn.input, ...turn.response.output])
    return { input: [...before, ...input] }
  }
  if (previous) return { input, previous_response_id: previous }
  return root ? { input, metadata: { thread_id: root } } : { input }
}

function requestOf(chosen: Settings): Record<string, unknown> {
  const tools = [
    ...chosen.functions.map((name) => ({ type: 'llm_api', name })),
    ...(chosen.collection ? [{ type: 'file_search', vector_store_ids: [chosen.collection] }] : []),
  ]
  return {
    model: chosen.model,
    stream: true,
    store: isKept.value,
    ...(isKept.value && { background: true }),
    ...(chosen.instructions.trim() && { instructions: chosen.instructions }),
    ...(chosen.temperature && { temperature: Number(chosen.temperature) }),
    ...(chosen.topP && { top_p: Number(chosen.topP) }),
    ...(chosen.maxTokens && { max_output_tokens: Number(chosen.maxTokens) }),
    ...(tools.length && { tools }),
    ...(chosen.collection && { include: ['file_search_call.results'] }),
  }
}

/** Reads events into a response until the stream ends. */
async function follow(response: Response, running: Live, begun: (response: ResponseBody) => ResponseBody): Promise<void> {
  if (!response.body) return
  let body: ResponseBody | null = null
  for await (const { data } of readEvents(response.body)) {
    const event = JSON.parse(data) as ResponseEvent
    if (event.prompt_progress) running.progress = event.prompt_progress
    if (event.response && !body) body = begun(event.response)
    if (event.type === 'error') throw new Error(event.message)
    if (body) take(body, event)
    if (event.delta !== undefined) count(running)
    running.lastEvent = Math.max(running.lastEvent, event.sequence_number)
    draw()
  }
}

function count(running: Live): void {
  running.lastAt = performance.now()
  running.firstAt ||= running.lastAt
  running.deltas += 1
}

/** Goes on with an answer that was begun before this page was opened, or whose stream was cut. */
async function takeUp(turn: Turn): Promise<void> {
  const { id } = turn.response
  const running: Live = live.get(id) ?? { turn, startedAt: performance.now(), firstAt: 0, lastAt: 0, deltas: 0, progress: null, requestId: '', lastEvent: -1, stop: new AbortController() }
  live.set(id, running)
  draw()
  try {
    const after = running.lastEvent < 0 ? '' : `&starting_after=${running.lastEvent}`
    const response = await request(`/v1/responses/${id}?stream=true${after}`, { signal: running.stop.signal })
    await follow(response, running, () => turn.response)
  } catch {
    // Its end, which is asked for next, says what became of it.
  }
  await finish(turn)
}

const watched = new Set<string>()
/** What was measured of answers that this page saw being written. */
export const speeds = new Map<string, Live>()

/** What became of an answer whose stream is over; one that has not ended is followed again. */
async function finish(turn: Turn): Promise<void> {
  const { id } = turn.response
  if (!hasEnded(turn.response)) {
    try {
      const body = await get<ResponseBody>(`/v1/responses/${id}`)
      if (!hasEnded(body)) {
        await new Promise((resolve) => setTimeout(resolve, 1000))
        return takeUp(turn)
      }
      Object.assign(turn.response, body)
    } catch (error) {
      turn.response.status = 'failed'
      turn.response.error = { message: told(error) }
    }
  }
  const measured = live.get(id)
  if (measured) speeds.set(id, measured)
  watched.delete(id)
  live.delete(id)
  draw()
  void listThreads()
  void models.refresh() // the answer may have loaded its model
}

export async function stop(id: string): Promise<void> {
  if (!isKept.value) live.get(id)?.stop.abort()
  else await request(`/v1/responses/${id}/cancel`, { method: 'POST' })
}

/** How far the prompt is read, and the place in the queue: asked for while nothing is written. */
async function watchProgress(id: string, running: Live): Promise<void> {
  if (!running.requestId) return
  watched.add(id)
  for (let wait = 600; watched.has(id) && !running.firstAt; wait = 400) {
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (running.firstAt || !watched.has(id)) return
    try {
      const now = await get<Record<string, number | null>>(`/v1/requests/${running.requestId}`)
      running.progress = {
        total: now.prompt_tokens ?? 0,
        cache: now.cached_tokens ?? 0,
        processed: now.read_tokens ?? 0,
        place_in_queue: now.place_in_queue ?? 0,
        tokens_per_second: now.tokens_per_second ?? null,
        seconds_left: now.seconds_left ?? null,
      }
      draw()
    } catch {
      return // the server tells nothing of it
    }
  }
}
