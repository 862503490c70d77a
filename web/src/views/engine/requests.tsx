// Requests on their way, those that have ended, and who waits: by key.

import { Bar } from '../../ui/bar'
import { Table, type Column } from '../../ui/table'
import { ago, percent, seconds } from '../../ui/words'
import { rounded } from '../../ui/chart'
import { journeyOf, type EndedRequest, type Journey, type LiveRequest, type Snapshot } from './snapshot'

export function Queue({ queue }: { queue: Snapshot['queue'] }) {
  const most = Math.max(1, ...queue.map(({ waiting, reading, writing }) => waiting + reading + writing))
  return (
    <section class="card stack" aria-label="Queue by key">
      <h2>Queue</h2>
      {!queue.length && <p class="soft small">Nobody asks for anything at the moment.</p>}
      <ul class="engine-queue">
        {queue.map(({ key, waiting, reading, writing }) => (
          <li key={key ?? ''}>
            <span class="engine-queue-head">
              <span>{key ?? 'without a key'}</span>
              <span class="small soft numbers">{queueWords(waiting, reading, writing)}</span>
            </span>
            <Bar
              label={`${key ?? 'without a key'}: ${queueWords(waiting, reading, writing)}`}
              parts={[
                { share: writing / most, tone: 1 },
                { share: reading / most, tone: 2 },
                { share: waiting / most, tone: 3 },
              ]}
            />
          </li>
        ))}
      </ul>
    </section>
  )
}

function queueWords(waiting: number, reading: number, writing: number): string {
  return [writing && `${writing} writing`, reading && `${reading} reading`, waiting && `${waiting} waiting`].filter(Boolean).join(', ') || 'none'
}

const LIVE: Column<LiveRequest>[] = [
  { title: 'Request', cell: (one) => <Named one={one} /> },
  { title: 'State', cell: (one) => <State one={one} /> },
  { title: 'Journey', cell: (one) => <JourneyBar of={journeyOf(one)} /> },
  { title: 'Tokens', right: true, cell: (one) => <Tokens prompt={one.prompt_tokens} cached={one.cached_tokens} answer={one.written_tokens} /> },
  { title: 'Speed', right: true, cell: (one) => (one.tokens_per_second === null ? '–' : `${rounded(one.tokens_per_second)}/s`) },
]

export function Requests({ requests }: { requests: LiveRequest[] }) {
  return (
    <section class="stack">
      <h2>
        On their way <span class="badge numbers">{requests.length}</span>
      </h2>
      {requests.length > 0 ? <Table caption="Requests on their way" columns={LIVE} rows={requests} keyOf={({ id }) => id} /> : <p class="soft small">Nothing is being answered.</p>}
    </section>
  )
}

export function Recent({ recent, now }: { recent: EndedRequest[]; now: number }) {
  if (!recent.length) return null
  const columns: Column<EndedRequest>[] = [
    { title: 'Request', cell: (one) => <Named one={one} /> },
    { title: 'Ended', cell: (one) => <span class="small">{ago(one.ended, now)}</span> },
    { title: 'Journey', cell: (one) => <JourneyBar of={journeyOf(one)} /> },
    { title: 'Tokens', right: true, cell: (one) => <Tokens prompt={one.prompt_tokens} cached={one.cached_tokens} answer={one.completion_tokens} /> },
    { title: 'Speed', right: true, cell: (one) => speedOf(one) },
  ]
  return (
    <section class="stack">
      <h2>Just ended</h2>
      <Table caption="Requests that have ended" columns={columns} rows={recent} keyOf={({ id, ended }) => `${id} ${ended}`} />
    </section>
  )
}

function speedOf({ completion_tokens, written_seconds }: EndedRequest): string {
  return completion_tokens && written_seconds ? `${rounded(completion_tokens / written_seconds)}/s` : '–'
}

function Named({ one }: { one: { id: string; path: string; key: string | null; model: string | null } }) {
  return (
    <span class="engine-request-name">
      <span>{one.path}</span>
      <span class="small soft">{[one.key, one.model].filter(Boolean).join(' · ')}</span>
    </span>
  )
}

function State({ one }: { one: LiveRequest }) {
  if (one.state === 'waiting') return <span class="badge warn">{one.place_in_queue ? `place ${one.place_in_queue}` : 'waits'}</span>
  const left = one.seconds_left ? <span class="small soft numbers">{seconds(one.seconds_left)} left</span> : null
  if (one.state === 'reading') {
    return (
      <span class="engine-request-name">
        <span class="badge">reads {one.prompt_tokens ? percent(one.read_tokens / one.prompt_tokens) : ''}</span>
        {left}
      </span>
    )
  }
  return <span class="badge accent">writes</span>
}

function Tokens({ prompt, cached, answer }: { prompt: number | null; cached: number | null; answer: number | null }) {
  return (
    <span class="engine-request-name">
      <span class="numbers">
        {prompt === null ? '–' : prompt.toLocaleString('en')} → {(answer ?? 0).toLocaleString('en')}
      </span>
      {prompt !== null && cached ? <span class="small soft numbers">{percent(cached / Math.max(1, prompt))} cached</span> : null}
    </span>
  )
}

/** How the time of a request was spent: waited, read, wrote. */
function JourneyBar({ of: { waited, read, wrote } }: { of: Journey }) {
  const whole = Math.max(waited + read + wrote, 0.001)
  const words = `waited ${seconds(waited)}, read ${seconds(read)}, wrote ${seconds(wrote)}`
  return (
    <span class="engine-journey" title={words}>
      <Bar
        label={words}
        parts={[
          { share: waited / whole, tone: 3 },
          { share: read / whole, tone: 2 },
          { share: wrote / whole, tone: 1 },
        ]}
      />
      <span class="small soft numbers">{seconds(waited)} · {seconds(read)} · {seconds(wrote)}</span>
    </span>
  )
}

