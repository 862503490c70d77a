// Questions to a collection: an answer whose sentences say which words of which document they rest on.

import { signal } from '@preact/signals'
import { stream, told } from '../../api/client'
import { Button } from '../../ui/button'
import { TextField } from '../../ui/field'
import { Markdown } from '../../ui/markdown/markdown'
import { Notice, Spinner } from '../../ui/states'
import { settings } from '../talk/state'
import { sentencesOf, type Citation, type Sentence, type Source, type Support } from './sentences'
import { placeOf } from './search'
import { open } from './state'

interface Asked {
  question: string
  text: string
  sources: Source[]
  citations: Citation[]
  support: Support[]
  state: 'looking' | 'writing' | 'there' | 'failed'
  why: string
}

const question = signal('')
const asked = signal<Asked | null>(null)
let stopping = new AbortController()

async function ask(event: Event): Promise<void> {
  event.preventDefault()
  const query = question.value.trim()
  if (!query) return
  stopping.abort()
  const stop = (stopping = new AbortController())
  const now: Asked = { question: query, text: '', sources: [], citations: [], support: [], state: 'looking', why: '' }
  const show = () => {
    if (stop === stopping) asked.value = { ...now }
  }
  show()
  const body = { query, collection: open.value, stream: true, verify: true, ...(settings.value.model && { model: settings.value.model }) }
  try {
    let isDrawing = false
    for await (const { event: name, data } of stream('/v1/rag/chat', { json: body, signal: stop.signal })) {
      if (data === '[DONE]') break
      take(now, name, JSON.parse(data) as Record<string, unknown>)
      if (isDrawing) continue
      isDrawing = true
      requestAnimationFrame(() => {
        isDrawing = false
        show()
      })
    }
    now.state = 'there'
  } catch (error) {
    now.state = stop.signal.aborted ? 'there' : 'failed'
    now.why = told(error)
  }
  show()
}

function take(now: Asked, name: string, data: Record<string, unknown>): void {
  if (name === 'sources') {
    now.sources = data.sources as Source[]
    now.state = 'writing'
  } else if (name === 'text') now.text += data.text as string
  else if (name === 'citation') now.citations.push(data as unknown as Citation)
  else if (name === 'support') now.support = data.support as Support[]
  else if (name === 'error') throw new Error((data.error as { message: string }).message)
}

export function Ask() {
  const now = asked.value
  const isRunning = now?.state === 'looking' || now?.state === 'writing'
  return (
    <div class="stack">
      <form class="documents-question" onSubmit={(event) => void ask(event)}>
        <TextField label="Ask these documents" value={question.value} onText={(text) => (question.value = text)} />
        {isRunning ? <Button icon="stop" onClick={() => stopping.abort()}>Stop</Button> : <Button tone="primary" type="submit">Ask</Button>}
      </form>
      {now && <Answered now={now} />}
    </div>
  )
}

function Answered({ now }: { now: Asked }) {
  const isOver = now.state === 'there'
  return (
    <article class="card documents-answer" aria-busy={!isOver} aria-live="polite">
      <h2 dir="auto">{now.question}</h2>
      {now.state === 'looking' && <p class="soft"><Spinner /> Looking for passages</p>}
      {isOver ? <Judged now={now} /> : <Markdown text={now.text} isOpen />}
      {now.state === 'failed' && <Notice tone="bad"><p>{now.why}</p></Notice>}
      {now.sources.length > 0 && <Sources now={now} />}
    </article>
  )
}

function Judged({ now }: { now: Asked }) {
  const sentences = sentencesOf(now.text, now.citations, now.support)
  return (
    <p class="documents-sentences" dir="auto">
      {sentences.map((sentence, index) => <Said key={index} sentence={sentence} sources={now.sources} />)}
    </p>
  )
}

function Said({ sentence, sources }: { sentence: Sentence; sources: Source[] }) {
  return (
    <>
      <span class={sentence.isSupported === false ? 'documents-unsupported' : ''} title={sentence.isSupported === false ? 'No passage says this.' : undefined}>
        {sentence.text}
      </span>
      {sentence.citations.map((citation, index) => (
        <a key={index} class={`documents-cite${citation.supported ? '' : ' weak'}`} href={placeOf({ ...citation, page: pageOf(citation, sources) })} title={citation.quote} aria-label={`Source ${citation.number}: ${citation.quote}`}>
          {citation.number}
        </a>
      ))}
      {sentence.isSupported === false && sentence.text.trim() && <span class="visually-hidden"> (no passage says this)</span>}
      {sentence.gap}
    </>
  )
}

function pageOf(citation: Citation, sources: Source[]): number | null {
  return sources.find((source) => source.number === citation.number)?.page ?? null
}

function Sources({ now }: { now: Asked }) {
  return (
    <section>
      <h3>Passages that the model was given</h3>
      <ol class="documents-sources">
        {now.sources.map((source) => (
          <li key={source.number} value={source.number}>
            <a href={placeOf(source)} dir="auto">{source.title || source.document_id}</a>
            {source.page !== null && <span class="soft small"> page {source.page}</span>}
            <span class="soft small numbers"> {source.score.toFixed(2)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}
