// One model's engine: its slots as bars of tokens, its buffer, and its speed over the last minute.

import type { ComponentChildren } from 'preact'

import { LineChart, rounded } from '../../ui/chart'
import { bytes, count } from '../../ui/words'
import { RUN_WORDS, batchSizes, cellsOf, draftWords, ended, lately, scaleOf, slotWords, type EngineOfModel, type Run, type ServedModel, type Slot, type Tier } from './snapshot'

const KINDS: Run['kind'][] = ['shared', 'prompt', 'answer', 'unread', 'kept']

export function EngineCard({ model }: { model: ServedModel }) {
  const engine = model.engine
  if (!engine) return null
  const written = ended(engine.history.written_tokens)
  const read = ended(engine.history.read_tokens)
  const guessed = draftWords(engine.drafts)
  return (
    <section class="card engine-card" aria-label={`Engine of ${model.id}`}>
      <div class="engine-card-head">
        <h2>{model.id}</h2>
        <span class={`badge ${engine.running ? 'accent' : ''}`}>{engine.running ? 'at work' : 'idle'}</span>
      </div>
      <dl class="engine-figures">
        <Figure name="Writes" value={rounded(lately(written))} unit="tokens/s" more={learnt(engine.written_tokens_per_second)} />
        <Figure name="Reads" value={rounded(lately(read))} unit="tokens/s" more={learnt(engine.read_tokens_per_second)} />
        <Figure name="Streams" value={String(engine.running)} unit={`of ${engine.parallel}`} more={engine.waiting ? `${engine.waiting} waiting` : 'nobody waits'} />
        {engine.kv && <Figure name="Buffer" value={String(Math.round((100 * (engine.kv.running + engine.kv.reusable)) / cellsOf(engine.kv)))} unit="% full" more={`of ${rounded(cellsOf(engine.kv))} tokens`} />}
      </dl>
      <Slots slots={engine.slots} contextLength={model.context_length ?? 4096} />
      <div class="engine-charts">
        <LineChart
          label="Speed"
          unit="tokens/s"
          lines={[
            { name: 'reads', tone: 2, values: read },
            { name: 'writes', tone: 1, values: written, filled: true },
          ]}
        />
        <LineChart label="Batch" unit="a step" top={engine.parallel} lines={[{ name: 'sequences', tone: 4, values: batchSizes(engine.history), filled: true }]} />
      </div>
      <Buffer engine={engine} />
      {guessed && <p class="small soft numbers">Guessed ahead: {guessed}.</p>}
    </section>
  )
}

function learnt(speed: number | null): string | undefined {
  return speed === null ? undefined : `${rounded(speed)} when busy`
}

function Figure({ name, value, unit, more }: { name: string; value: string; unit: string; more?: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="numbers">
        <b>{value}</b> <span class="soft small">{unit}</span>
        {more && <span class="soft small engine-figure-more">{more}</span>}
      </dd>
    </div>
  )
}

function Slots({ slots, contextLength }: { slots: Slot[]; contextLength: number }) {
  const scale = scaleOf(slots, contextLength)
  return (
    <div class="engine-slots">
      <div class="engine-slots-head">
        <h3>Slots</h3>
        <p class="engine-legend small soft">
          {KINDS.map((kind) => (
            <span key={kind}>
              <i class={`engine-run-${kind}`} aria-hidden="true" />
              {RUN_WORDS[kind]}
            </span>
          ))}
        </p>
      </div>
      <ul>
        {slots.map((slot) => (
          <SlotRow key={slot.index} slot={slot} scale={scale} />
        ))}
      </ul>
      <p class="small soft numbers">The whole width is {count(scale, 'token')}.</p>
    </div>
  )
}

function SlotRow({ slot, scale }: { slot: Slot; scale: number }) {
  const tokens = slot.runs.reduce((sum, run) => sum + run.tokens, 0)
  return (
    <li class={`engine-slot ${slot.state}`}>
      <span class="engine-slot-name numbers" aria-hidden="true">{slot.index}</span>
      <span class="engine-slot-bar" role="img" aria-label={slotWords(slot)} title={slotWords(slot)}>
        {slot.runs.map(({ kind, tokens: share }, index) => (
          <span key={index} class={`engine-run-${kind}`} style={{ width: `${(100 * share) / scale}%` }} />
        ))}
      </span>
      <span class="engine-slot-state small numbers" aria-hidden="true">{slot.state === 'idle' ? (tokens ? 'kept' : '') : slot.state}</span>
      <span class="engine-slot-tokens small soft numbers" aria-hidden="true">{tokens ? rounded(tokens) : '–'}</span>
    </li>
  )
}

function Buffer({ engine }: { engine: EngineOfModel }) {
  const { kv, tiers } = engine
  if (!kv && !tiers.length) return null
  return (
    <div class="engine-tiers">
      <h3>Computed tokens that are kept</h3>
      {kv && (
        <TierRow name="In the engine" words={`${rounded(kv.running)} at work, ${rounded(kv.reusable)} to be used again, ${rounded(kv.free)} free`}>
          <span class="engine-run-answer" style={{ width: `${(100 * kv.running) / cellsOf(kv)}%` }} />
          <span class="engine-run-kept" style={{ width: `${(100 * kv.reusable) / cellsOf(kv)}%` }} />
        </TierRow>
      )}
      {tiers.map((tier) => (
        <TierRow key={tier.tier} name={tierName(tier)} words={`${rounded(tier.tokens)} tokens, ${bytes(tier.bytes)} of ${bytes(tier.limit_bytes)}`}>
          <span class="engine-run-kept" style={{ width: `${(100 * tier.bytes) / Math.max(1, tier.limit_bytes)}%` }} />
        </TierRow>
      ))}
    </div>
  )
}

function tierName({ tier }: Tier): string {
  return { ram: 'In memory', disk: 'On disk' }[tier] ?? tier
}

function TierRow({ name, words, children }: { name: string; words: string; children: ComponentChildren }) {
  return (
    <div class="engine-tier">
      <span class="small">{name}</span>
      <span class="engine-slot-bar thin" role="img" aria-label={`${name}: ${words}`}>{children}</span>
      <span class="small soft numbers">{words}</span>
    </div>
  )
}
