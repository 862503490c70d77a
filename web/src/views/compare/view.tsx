// Two models, or two settings of one, side by side: the same prompt to both at once.

import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { models, type Model } from '../../api/models'
import { preference } from '../../app/preferences'
import { Bar } from '../../ui/bar'
import { Button } from '../../ui/button'
import { rounded } from '../../ui/chart'
import { SelectField, TextArea, TextField } from '../../ui/field'
import { Markdown } from '../../ui/markdown/markdown'
import { Notice, Shown } from '../../ui/states'
import { percent, seconds } from '../../ui/words'
import './compare.css'
import { figuresOf, lanes, race, stop, type Figures, type Lane, type Settings } from './race'

const PLAIN: Settings = { model: '', system: '', temperature: '', maxTokens: '256' }
const settings = [preference<Settings>('compare.left', PLAIN), preference<Settings>('compare.right', PLAIN)] as const
const prompt = signal('')
const NAMES = ['Left', 'Right'] as const

export default function Compare() {
  useEffect(() => void models.refresh(), [])
  return (
    <div class="view compare">
      <div class="view-head">
        <h1>Compare</h1>
      </div>
      <Shown of={models} what="Asking for the models">{(all) => <Race all={all.filter(generates)} />}</Shown>
    </div>
  )
}

function generates({ type }: Model): boolean {
  return type === 'generation'
}

function Race({ all }: { all: Model[] }) {
  const isRunning = lanes.some((lane) => lane.value.state === 'running')
  useTicking(isRunning)
  const now = performance.now()
  const figures = lanes.map((lane) => figuresOf(lane.value, now)) as [Figures, Figures]
  const chosen = settings.map((one, index) => ({ ...one.value, model: known(one.value.model, all, index) })) as [Settings, Settings]
  const begin = (event: Event) => {
    event.preventDefault()
    if (prompt.value.trim()) void race(prompt.value, chosen)
  }
  if (!all.length) return <Notice>This key may use no model that writes.</Notice>
  return (
    <form class="stack" onSubmit={begin}>
      <TextArea label="Prompt for both" value={prompt.value} onText={(text) => (prompt.value = text)} rows={3} placeholder="Explain what a hash table is, to a child." onKeyDown={(event) => event.key === 'Enter' && (event.metaKey || event.ctrlKey) && begin(event)} />
      <div class="row">
        {isRunning ? (
          <Button icon="stop" onClick={stop}>Stop</Button>
        ) : (
          <Button tone="primary" icon="play" type="submit" disabled={!prompt.value.trim()}>Ask both</Button>
        )}
      </div>
      <div class="compare-lanes">
        {([0, 1] as const).map((index) => (
          <section key={index} class="card stack compare-lane" aria-label={NAMES[index]}>
            <Chosen name={NAMES[index]} all={all} chosen={chosen[index]} onChange={(changed) => (settings[index].value = changed)} />
            <Said lane={lanes[index].value} figures={figures[index]} other={figures[1 - index]!} />
          </section>
        ))}
      </div>
    </form>
  )
}

/** The model that was chosen, if it is there still; else the first for the left, the second for the right. */
function known(id: string, all: Model[], index: number): string {
  return all.some((one) => one.id === id) ? id : (all[Math.min(index, all.length - 1)]?.id ?? '')
}

/** Draws anew ten times a second, for the clocks. */
function useTicking(isOn: boolean): void {
  const [, tick] = useState(0)
  useEffect(() => {
    if (!isOn) return
    const timer = setInterval(() => tick((count) => count + 1), 100)
    return () => clearInterval(timer)
  }, [isOn])
}

function Chosen({ name, all, chosen, onChange }: { name: string; all: Model[]; chosen: Settings; onChange: (settings: Settings) => void }) {
  return (
    <div class="compare-settings">
      <SelectField label={`${name}: model`} value={chosen.model} onText={(model) => onChange({ ...chosen, model })} options={all.map(({ id }) => ({ value: id, label: id }))} />
      <details>
        <summary class="small">
          Settings{chosen.temperature && `, temperature ${chosen.temperature}`}{chosen.system && ', instructions'}
        </summary>
        <div class="stack">
          <TextArea label="Instructions (system prompt)" rows={2} value={chosen.system} onText={(system) => onChange({ ...chosen, system })} />
          <div class="compare-numbers">
            <TextField label="Temperature" type="number" min={0} max={2} step="any" inputMode="decimal" placeholder="the model's" value={chosen.temperature} onText={(temperature) => onChange({ ...chosen, temperature })} />
            <TextField label="Tokens at most" type="number" min={1} step={1} inputMode="numeric" value={chosen.maxTokens} onText={(maxTokens) => onChange({ ...chosen, maxTokens })} />
          </div>
        </div>
      </details>
    </div>
  )
}

function Said({ lane, figures, other }: { lane: Lane; figures: Figures; other: Figures }) {
  return (
    <>
      <dl class="compare-figures">
        <Figure name="First word" own={figures.firstWordSeconds} other={other.firstWordSeconds} words={seconds} />
        <Figure name="Speed" own={figures.tokensPerSecond} other={other.tokensPerSecond} words={(value) => `${rounded(value)} tokens/s`} />
        <Figure name="Tokens" own={figures.tokens || null} other={other.tokens || null} words={(value) => value.toLocaleString('en')} />
        <Figure name="In all" own={figures.wholeSeconds || null} other={other.wholeSeconds || null} words={seconds} />
      </dl>
      {lane.failure && <Notice tone="bad">{lane.failure}</Notice>}
      {lane.thinking && (
        <details>
          <summary class="small">What it thought</summary>
          <p class="compare-thought soft small" dir="auto">{lane.thinking}</p>
        </details>
      )}
      <div class="compare-text" aria-live={lane.state === 'running' ? 'off' : 'polite'}>
        {lane.text ? <Markdown text={lane.text} isOpen={lane.state === 'running'} /> : <p class="soft">{lane.state === 'running' ? 'It reads …' : 'Nothing said yet.'}</p>}
      </div>
      <p class="small soft numbers">{stateWords(lane)}</p>
    </>
  )
}

function stateWords({ state, promptTokens, cachedTokens }: Lane): string {
  if (state === 'stopped') return 'Stopped.'
  if (promptTokens === null) return ''
  const cached = cachedTokens ? `, ${percent(cachedTokens / promptTokens)} of it from the cache` : ''
  return `The prompt has ${promptTokens.toLocaleString('en')} tokens${cached}.`
}

/** One number, and a bar against the other lane's. */
function Figure({ name, own, other, words }: { name: string; own: number | null; other: number | null; words: (value: number) => string }) {
  const largest = Math.max(own ?? 0, other ?? 0)
  return (
    <div>
      <dt>{name}</dt>
      <dd class="numbers">
        {own === null ? '–' : words(own)}
        <Bar label={`${name}: ${own === null ? 'not known yet' : words(own)}`} parts={[{ share: own === null || !largest ? 0 : own / largest }]} />
      </dd>
    </div>
  )
}
