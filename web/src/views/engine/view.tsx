// The engine at work: what each slot holds, who waits, how fast it goes, and which models there are.

import { useEffect, useState } from 'preact/hooks'
import { models } from '../../api/models'
import { Button } from '../../ui/button'
import '../../ui/chart.css'
import { Empty, Loading, Notice } from '../../ui/states'
import { bytes, count } from '../../ui/words'
import './engine.css'
import { look, snapshot, trouble } from './live'
import { EngineCard } from './model'
import { Models } from './models'
import { Pulls } from './pulls'
import { Queue, Recent, Requests } from './requests'
import type { Snapshot } from './snapshot'

export default function Engine() {
  const [isPaused, setPaused] = useState(false)
  useEffect(() => (isPaused ? undefined : look()), [isPaused])
  useEffect(() => void models.refresh(), [])
  const now = snapshot.value
  return (
    <div class="view engine">
      <div class="view-head">
        <h1>Engine</h1>
        {now && <Facts of={now} />}
        <Button little icon={isPaused ? 'play' : 'stop'} aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </Button>
      </div>
      <Trouble />
      {now ? <Live now={now} /> : !trouble.value && <Loading what="Looking at the engine" />}
    </div>
  )
}

function Trouble() {
  const now = trouble.value
  if (!now) return null
  if (now.status === 403) {
    return (
      <Empty icon="keys" title="This key may not see the engine">
        <p>{now.text}</p>
      </Empty>
    )
  }
  return <Notice tone="bad">{now.text}</Notice>
}

function Facts({ of: { version, worker, uptime_seconds, memory_bytes } }: { of: Snapshot }) {
  return (
    <p class="engine-facts small soft numbers">
      {memory_bytes !== null && <span>{bytes(memory_bytes)} of memory</span>}
      <span>{upFor(uptime_seconds)}</span>
      <span>version {version}</span>
      {worker && <span>worker {worker}</span>}
    </p>
  )
}

/** "up for 3 h". Pure. */
export function upFor(seconds: number): string {
  if (seconds < 3600) return `up for ${count(Math.max(1, Math.round(seconds / 60)), 'minute')}`
  if (seconds < 172_800) return `up for ${count(Math.round(seconds / 3600), 'hour')}`
  return `up for ${count(Math.round(seconds / 86_400), 'day')}`
}

function Live({ now }: { now: Snapshot }) {
  const engines = now.models.filter(({ engine }) => engine)
  return (
    <div class="engine-columns">
      <div class="stack">
        {engines.map((model) => (
          <EngineCard key={model.id} model={model} />
        ))}
        {!engines.length && (
          <section class="card stack">
            <h2>No engine runs here</h2>
            <p class="soft small">A model of this machine shows its slots once it is loaded. Models of other servers have none.</p>
          </section>
        )}
        <Requests requests={now.requests} />
        <Recent recent={now.recent} now={now.time} />
      </div>
      <div class="stack">
        <Queue queue={now.queue} />
        <Models served={now.models} />
        <Pulls />
      </div>
    </div>
  )
}
