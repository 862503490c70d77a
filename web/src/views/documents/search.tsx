// Search in a collection: passages with what each ranking thinks of them.

import { signal } from '@preact/signals'
import { post, told } from '../../api/client'
import { hashOf } from '../../app/router'
import { Button } from '../../ui/button'
import { SelectField, TextField } from '../../ui/field'
import { Loading, Notice } from '../../ui/states'
import { open } from './state'

interface Hit {
  chunk_id: string
  document_id: string
  title: string
  text: string
  span: { start: number; end: number }
  headings: string[]
  page: number | null
  score: number
  scores: { dense: number | null; sparse: number | null; rerank: number | null }
}

type Found = { state: 'none' | 'looking' } | { state: 'found'; hits: Hit[]; query: string } | { state: 'failed'; why: string }

const query = signal('')
const mode = signal('hybrid')
const found = signal<Found>({ state: 'none' })

async function look(event: Event): Promise<void> {
  event.preventDefault()
  const asked = query.value.trim()
  if (!asked) return
  found.value = { state: 'looking' }
  try {
    const answer = await post<{ data: Hit[] }>('/v1/rag/search', { query: asked, collection: open.value, mode: mode.value, top_k: 10 })
    found.value = { state: 'found', hits: answer.data, query: asked }
  } catch (error) {
    found.value = { state: 'failed', why: told(error) }
  }
}

const MODES = [
  { value: 'hybrid', label: 'Meaning and words' },
  { value: 'dense', label: 'Meaning' },
  { value: 'sparse', label: 'Words' },
]

export function Search() {
  const now = found.value
  return (
    <div class="stack">
      <form class="documents-question" onSubmit={(event) => void look(event)}>
        <TextField label="Look for" type="search" value={query.value} onText={(text) => (query.value = text)} />
        <SelectField label="By" value={mode.value} onText={(text) => (mode.value = text)} options={MODES} />
        <Button tone="primary" type="submit">Search</Button>
      </form>
      {now.state === 'looking' && <Loading what="Searching" />}
      {now.state === 'failed' && <Notice tone="bad"><p>{now.why}</p></Notice>}
      {now.state === 'found' && !now.hits.length && <p class="soft">No passage is like that. Try other words, or another ranking.</p>}
      {now.state === 'found' && (
        <ol class="documents-hits" aria-label="Passages">
          {now.hits.map((hit) => <Passage key={hit.chunk_id} hit={hit} />)}
        </ol>
      )}
    </div>
  )
}

export function placeOf(hit: { document_id: string; span: { start: number; end: number }; page?: number | null }): string {
  return hashOf('documents', [open.value], {
    document: hit.document_id,
    start: String(hit.span.start),
    end: String(hit.span.end),
    ...(hit.page ? { page: String(hit.page) } : {}),
  })
}

function Passage({ hit }: { hit: Hit }) {
  const { dense, sparse, rerank } = hit.scores
  return (
    <li class="card">
      <a class="documents-hit-title" href={placeOf(hit)} dir="auto">{hit.title || hit.document_id}</a>
      {hit.headings.length > 0 && <span class="soft small" dir="auto"> {hit.headings.join(' › ')}</span>}
      {hit.page !== null && <span class="soft small"> page {hit.page}</span>}
      <p class="documents-hit-text" dir="auto">{hit.text}</p>
      <p class="soft small numbers">
        {[`together ${hit.score.toFixed(3)}`, dense !== null ? `meaning ${dense.toFixed(3)}` : '', sparse !== null ? `words ${sparse.toFixed(2)}` : '', rerank !== null ? `judged ${rerank.toFixed(2)}` : '']
          .filter(Boolean)
          .join(' · ')}
      </p>
    </li>
  )
}
