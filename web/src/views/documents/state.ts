// Collections, what is in the one that is open, and files on their way into it.

import { signal } from '@preact/signals'
import { get, post, remove, told, upload } from '../../api/client'
import { source } from '../../api/load'
import { count } from '../../ui/words'

export interface Collection {
  name: string
  status: 'ready' | 'damaged'
  damage: string | null
  documents: number | null
  chunks: number | null
}

export interface StoredDocument {
  id: string
  title: string
  metadata: Record<string, unknown>
  characters: number
  chunks: number
  stored_at: number
}

export interface Named {
  total: number
  data: { document_id: string; reason: string; at: number }[]
}

export interface Report {
  documents: number
  chunks: number
  characters: number
  sources: { type: string; name: string; documents: number; last_stored_at: number; last_synced_at: number | null }[]
  kinds: { kind: string; documents: number }[]
  failed: Named
  stale: Named
}

export interface Contents {
  report: Report
  documents: StoredDocument[]
  cursor: string | null
}

export const collections = source(async () => (await get<{ data: Collection[] }>('/v1/rag/collections')).data)

/** The collection that is open; "" where there is none. */
export const open = signal('')

export const contents = source(async (): Promise<Contents> => {
  const name = encodeURIComponent(open.value)
  const [report, page] = await Promise.all([
    get<Report>(`/v1/rag/collections/${name}/report`),
    get<{ data: StoredDocument[]; next_cursor: string | null }>(`/v1/rag/documents?collection=${name}&limit=50`),
  ])
  return { report, documents: page.data, cursor: page.next_cursor }
})

export async function moreDocuments(known: Contents): Promise<void> {
  const query = new URLSearchParams({ collection: open.value, limit: '50', cursor: known.cursor ?? '' })
  const page = await get<{ data: StoredDocument[]; next_cursor: string | null }>(`/v1/rag/documents?${query}`)
  contents.set({ ...known, documents: [...known.documents, ...page.data], cursor: page.next_cursor })
}

export async function makeCollection(name: string): Promise<void> {
  await post('/v1/rag/collections', { name })
  await collections.refresh()
}

export async function dropCollection(name: string): Promise<void> {
  await remove(`/v1/rag/collections/${encodeURIComponent(name)}`)
  await collections.refresh()
}

export async function dropDocument(id: string): Promise<void> {
  const store = encodeURIComponent(open.value)
  await remove(`/v1/rag/documents/${id.split('/').map(encodeURIComponent).join('/')}?collection=${store}`)
  if (id.startsWith('file-')) await remove(`/v1/files/${encodeURIComponent(id)}`).catch(() => undefined)
  await contents.refresh()
}

/** A file on its way: sent, read, stored, or why not. */
export interface Arriving {
  key: string
  name: string
  collection: string
  state: 'waiting' | 'sending' | 'reading' | 'stored' | 'failed'
  share: number
  said: string
}

export const arriving = signal<Arriving[]>([])

const AT_ONCE = 2
const waiting: { entry: Arriving; file: File }[] = []
let running = 0
let counted = 0

export function store(files: { file: File; path: string }[]): void {
  const entries = files.map(({ file, path }) => ({
    file,
    entry: { key: `${++counted}`, name: path, collection: open.value, state: 'waiting', share: 0, said: '' } as Arriving,
  }))
  arriving.value = [...arriving.value.filter((one) => one.state !== 'stored'), ...entries.map(({ entry }) => entry)]
  waiting.push(...entries)
  while (running < AT_ONCE && waiting.length) void work()
}

export function forgetArrived(): void {
  arriving.value = arriving.value.filter((one) => one.state !== 'stored' && one.state !== 'failed')
}

function change(entry: Arriving, part: Partial<Arriving>): void {
  arriving.value = arriving.value.map((one) => (one.key === entry.key ? { ...one, ...part } : one))
}

async function work(): Promise<void> {
  running += 1
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { entry, file } = next
    try {
      const said = await (isPdf(file.name) ? storeOriginal(entry, file) : storeText(entry, file))
      change(entry, { state: 'stored', share: 1, said })
    } catch (error) {
      change(entry, { state: 'failed', said: told(error) })
    }
  }
  running -= 1
  if (!running) await Promise.all([collections.refresh(), open.value ? contents.refresh() : undefined])
}

export function isPdf(name: string): boolean {
  return name.toLowerCase().endsWith('.pdf')
}

interface Ingest {
  object: 'rag.ingest' | 'rag.job'
  id: string
  state: string
  done: number
  total: number
  error: string | null
  failures: Record<string, string>
  documents: { status: string; chunks: number; error?: string; warnings?: string[] }[]
}

/** A file whose text is kept. Its path is its document's id, so that a changed one replaces it. */
async function storeText(entry: Arriving, file: File): Promise<string> {
  const form = new FormData()
  form.append('collection', entry.collection)
  form.append('files', file, entry.name)
  change(entry, { state: 'sending' })
  const sent = (share: number) => change(entry, share < 1 ? { share } : { share, state: 'reading' })
  let answer = await upload<Ingest>('/v1/rag/files', form, sent)
  while (answer.object === 'rag.job' && (answer.state === 'queued' || answer.state === 'running')) {
    await pause()
    answer = await get<Ingest>(`/v1/rag/ingests/${answer.id}`)
  }
  if (answer.object === 'rag.job') {
    const why = Object.values(answer.failures)[0] ?? answer.error
    if (why) throw new Error(why)
    return 'stored'
  }
  const [document] = answer.documents
  if (!document || document.error) throw new Error(document?.error ?? 'nothing was stored')
  const warned = document.warnings?.length ? `, with gaps: ${document.warnings[0]}` : ''
  return document.status === 'unchanged' ? 'unchanged' : `${count(document.chunks, 'passage')}${warned}`
}

/** A file that is kept as it is beside its text, so that its pages can be shown. */
async function storeOriginal(entry: Arriving, file: File): Promise<string> {
  const name = encodeURIComponent(entry.collection)
  const filter = JSON.stringify({ filename: file.name })
  const earlier = await get<{ data: StoredDocument[] }>(`/v1/rag/documents?${new URLSearchParams({ collection: entry.collection, filter, limit: '20' })}`).catch(() => ({ data: [] as StoredDocument[] }))
  const form = new FormData()
  form.append('purpose', 'assistants')
  form.append('file', file)
  change(entry, { state: 'sending' })
  const stored = await upload<{ id: string }>('/v1/files', form, (share) => change(entry, { share }))
  change(entry, { state: 'reading' })
  let attached = await post<{ status: string; last_error: { message: string } | null }>(`/v1/vector_stores/${name}/files`, { file_id: stored.id })
  while (attached.status === 'in_progress') {
    await pause()
    attached = await get(`/v1/vector_stores/${name}/files/${stored.id}`)
  }
  if (attached.status !== 'completed') {
    await remove(`/v1/files/${stored.id}`).catch(() => undefined)
    throw new Error(attached.last_error?.message ?? `it is ${attached.status}`)
  }
  for (const one of earlier.data) if (one.id.startsWith('file-')) await dropQuietly(entry.collection, one.id)
  return 'stored'
}

async function dropQuietly(collection: string, id: string): Promise<void> {
  await remove(`/v1/rag/documents/${id}?collection=${encodeURIComponent(collection)}`).catch(() => undefined)
  await remove(`/v1/files/${id}`).catch(() => undefined)
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 500))
}
