// One answer: what the model thought, called and said; how fast; and what can be done with it.

import type { ComponentChildren } from 'preact'
import { memo } from 'preact/compat'
import { hasEnded, textOf, type Citation, type Item, type Progress, type ResponseBody, type Turn } from '../../api/responses'
import { hashOf } from '../../app/router'
import { Bar } from '../../ui/bar'
import { CopyButton, IconButton } from '../../ui/button'
import { Icon } from '../../ui/icon'
import { Markdown } from '../../ui/markdown/markdown'
import { Notice, Spinner } from '../../ui/states'
import { count, percent, seconds } from '../../ui/words'
import { again, choose, drawn, live, speeds, turns, type Live } from './state'
import { siblingsOf } from './tree'

export const Answer = memo(function Answer({ turn }: { turn: Turn }) {
  const { response } = turn
  const running = live.get(response.id)
  const isOpen = !hasEnded(response)
  if (isOpen || running) void drawn.value
  const said = response.output.filter((item) => item.type === 'message').map(textOf).join('\n\n')
  return (
    <article class="talk-answer" aria-busy={isOpen} aria-label={`Answer of ${response.model}`}>
      {response.output.map((item, index) => (
        <OutputItem key={item.id ?? index} item={item} isOpen={isOpen && index === response.output.length - 1} />
      ))}
      {isOpen && !response.output.length && <Waiting progress={running?.progress ?? null} status={response.status} />}
      <Ending response={response} />
      {!isOpen && (
        <footer class="talk-foot">
          <CopyButton label="Copy the answer" text={() => said} />
          <IconButton little icon="again" label="Answer once more" onClick={() => void again(turn)} />
          <Branches turn={turn} />
          <Figures response={response} measured={speeds.get(response.id) ?? null} />
        </footer>
      )}
    </article>
  )
})

/** Which of several answers, or questions, at this place is shown. */
export function Branches({ turn }: { turn: Turn }) {
  const all = siblingsOf(turns.value, turn)
  if (all.length < 2) return null
  const place = all.indexOf(turn)
  const step = (by: number) => {
    const other = all[place + by]
    if (other) choose(other)
  }
  return (
    <span class="talk-branches numbers">
      <IconButton little icon="left" label="Earlier branch" disabled={place === 0} onClick={() => step(-1)} />
      {place + 1} / {all.length}
      <IconButton little icon="right" label="Later branch" disabled={place === all.length - 1} onClick={() => step(1)} />
    </span>
  )
}

function Figures({ response, measured }: { response: ResponseBody; measured: Live | null }) {
  const { usage } = response
  if (!usage) return null
  const written = usage.output_tokens
  const took = measured && measured.lastAt > measured.firstAt ? (measured.lastAt - measured.firstAt) / 1000 : null
  const parts = [
    count(written, 'token'),
    took && written > 1 ? `${((written - 1) / took).toFixed(1)} tokens/s` : '',
    measured?.firstAt ? `first after ${seconds((measured.firstAt - measured.startedAt) / 1000)}` : '',
    `${count(usage.input_tokens, 'token')} read`,
    usage.input_tokens ? `${percent(usage.input_tokens_details.cached_tokens / usage.input_tokens)} cached` : '',
    response.model,
  ]
  return <span class="talk-figures numbers">{parts.filter(Boolean).join(' · ')}</span>
}

function Waiting({ progress, status }: { progress: Progress | null; status: string }) {
  const isQueued = status === 'queued' || (progress && progress.place_in_queue > 0)
  const words = isQueued
    ? `Waiting${progress?.place_in_queue ? `: place ${progress.place_in_queue} in the queue` : ' for its turn'}`
    : progress?.total
      ? `Reading: ${progress.processed.toLocaleString('en')} of ${count(progress.total, 'token')}${progress.seconds_left ? `, ${seconds(progress.seconds_left)} left` : ''}`
      : 'Reading'
  return (
    <div class="talk-waiting">
      <p class="soft"><Spinner /> {words}</p>
      {progress && progress.total > 0 && !isQueued && (
        <Bar label={words} parts={[{ share: progress.cache / progress.total, tone: 2 }, { share: (progress.processed - progress.cache) / progress.total, tone: 1 }]} />
      )}
    </div>
  )
}

function Ending({ response }: { response: ResponseBody }) {
  if (response.status === 'failed') return <Notice tone="bad"><p>{response.error?.message ?? 'The answer broke off. Ask again.'}</p></Notice>
  if (response.status === 'cancelled') return <p class="talk-ending">Stopped.</p>
  if (response.status === 'incomplete') {
    const isLong = response.incomplete_details?.reason === 'max_output_tokens'
    return <p class="talk-ending">{isLong ? 'Cut: the answer reached its longest length, which the settings change.' : 'Cut.'}</p>
  }
  return null
}

function OutputItem({ item, isOpen }: { item: Item; isOpen: boolean }) {
  switch (item.type) {
    case 'message':
      return <Message item={item} isOpen={isOpen} />
    case 'reasoning': {
      const thought = [...(item.summary ?? []), ...(item.content ?? [])].map((part) => part.text ?? '').join('\n\n')
      return <Fold title={isOpen ? 'Thinking…' : 'Thought'} icon="model"><Markdown text={thought} isOpen={isOpen} /></Fold>
    }
    case 'function_call':
    case 'custom_tool_call':
    case 'mcp_call':
      return <Call item={item} isOpen={isOpen} />
    case 'file_search_call':
      return <Searched item={item} />
    case 'mcp_list_tools':
      return null
    default:
      return <Fold title={item.type.replaceAll('_', ' ')} icon="code"><Raw text={JSON.stringify(item, null, 2)} /></Fold>
  }
}

function Fold({ title, icon, children }: { title: ComponentChildren; icon: 'model' | 'functions' | 'search' | 'code'; children: ComponentChildren }) {
  return (
    <details class="talk-fold">
      <summary><Icon name={icon} /> <span dir="auto">{title}</span></summary>
      <div class="talk-folded">{children}</div>
    </details>
  )
}

function Call({ item, isOpen }: { item: Item; isOpen: boolean }) {
  const failure = typeof item.error === 'string' ? item.error : item.error?.content?.map((part) => part.text).join('\n')
  const result = failure ?? (typeof item.output === 'string' ? item.output : item.output ? JSON.stringify(item.output) : '')
  return (
    <Fold icon="functions" title={<>{isOpen ? 'Calling' : 'Called'} <code>{item.name}</code>{failure ? <span class="badge bad">failed</span> : null}</>}>
      <p class="talk-label">Arguments</p>
      <Raw text={pretty(item.arguments ?? item.input ?? '')} />
      {result && <p class="talk-label">{failure ? 'Failure' : 'Result'}</p>}
      {result && <Raw text={pretty(result)} />}
    </Fold>
  )
}

/** JSON with line breaks; any other text as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

function Raw({ text }: { text: string }) {
  return <pre class="talk-raw" tabIndex={0} dir="auto">{text}</pre>
}

function Searched({ item }: { item: Item }) {
  const found = item.results ?? []
  return (
    <Fold icon="search" title={`Searched for ${(item.queries ?? []).map((query) => `“${query}”`).join(', ') || 'passages'}`}>
      {found.map((hit, index) => (
        <p key={index} class="small">
          <a href={wordsOf(hit)}>{hit.filename || hit.document_id}</a> <span class="soft numbers">{hit.score.toFixed(2)}</span>
          <br />
          <span dir="auto">{hit.text.slice(0, 240)}</span>
        </p>
      ))}
      {!found.length && <p class="soft small">What was found is in the citations of the answer.</p>}
    </Fold>
  )
}

/** Where the very words are opened. */
function wordsOf(place: { document_id: string; vector_store_id: string; span: { start: number; end: number } }): string {
  return hashOf('documents', [place.vector_store_id], { document: place.document_id, start: String(place.span.start), end: String(place.span.end) })
}

function Message({ item, isOpen }: { item: Item; isOpen: boolean }) {
  const citations = (item.content ?? []).flatMap((part) => part.annotations ?? [])
  return (
    <>
      <Markdown text={textOf(item)} isOpen={isOpen} />
      {citations.length > 0 && (
        <ol class="talk-citations" aria-label="Sources">
          {citations.map((citation: Citation, index) => (
            <li key={index}>
              <a href={wordsOf(citation)} title={citation.quote}>
                <span dir="auto">{citation.filename || citation.document_id}</span>
              </a>
              <q dir="auto">{citation.quote}</q>
              {!citation.supported && <span class="badge warn">not quite this</span>}
            </li>
          ))}
        </ol>
      )}
    </>
  )
}
