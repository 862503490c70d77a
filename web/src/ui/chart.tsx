// Small charts: lines over time, and stacked bars by day. What they show is said in words as well.

import { useState } from 'preact/hooks'

export interface Line {
  name: string
  tone: 1 | 2 | 3 | 4
  values: number[]
  /** Fills the room below the line. */
  filled?: boolean
}

const WIDTH = 600
const HEIGHT = 120

/** Lines on one scale, which begins at 0; the newest value is at the right. */
export function LineChart({ label, lines, top, unit }: { label: string; lines: Line[]; top?: number; unit: string }) {
  const largest = Math.max(top ?? 0, niceTop(Math.max(1, ...lines.flatMap(({ values }) => values))))
  const now = lines.map(({ name, values }) => `${name} ${rounded(values.at(-1) ?? 0)}`).join(', ')
  return (
    <figure class="chart">
      <figcaption>
        <span>{label}</span>
        <span class="chart-legend">
          {lines.map(({ name, tone, values }) => (
            <span key={name}>
              <i class={`tone-${tone}`} aria-hidden="true" />
              {name} <b class="numbers">{rounded(values.at(-1) ?? 0)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div class="chart-room">
        <span class="chart-top numbers" aria-hidden="true">
          {rounded(largest)} {unit}
        </span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${label}, in ${unit}: ${now}`}>
          {[0.25, 0.5, 0.75].map((share) => (
            <line key={share} class="chart-grid" x1="0" x2={WIDTH} y1={HEIGHT * share} y2={HEIGHT * share} />
          ))}
          {lines.map(({ name, tone, values, filled }) => (
            <g key={name} class={`line-${tone}`}>
              {filled && <path class="chart-fill" d={`${pathOf(values, largest)}L${WIDTH},${HEIGHT}L0,${HEIGHT}Z`} />}
              <path class="chart-line" d={pathOf(values, largest)} vector-effect="non-scaling-stroke" />
            </g>
          ))}
        </svg>
      </div>
    </figure>
  )
}

/** The path of values over the whole width. Pure. */
export function pathOf(values: number[], largest: number): string {
  const step = WIDTH / Math.max(1, values.length - 1)
  return values
    .map((value, index) => `${index ? 'L' : 'M'}${(index * step).toFixed(1)},${(HEIGHT * (1 - Math.min(value, largest) / largest)).toFixed(1)}`)
    .join('')
}

/** The next of 1, 2, 5, 10, 20, … Pure. */
export function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power
}

export function rounded(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toLocaleString('en', { maximumFractionDigits: value < 100_000 ? 1 : 0 })}k`
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 })
}

export interface Day {
  /** As 2026-01-31. */
  date: string
  parts: { name: string; tone: 1 | 2 | 3 | 4; value: number }[]
}

/** A bar for each day, of parts one upon the other. A day that is looked at says its numbers. */
export function DayBars({ label, days, unit }: { label: string; days: Day[]; unit: string }) {
  const [looked, setLooked] = useState<number | null>(null)
  const sums = days.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const largest = niceTop(Math.max(1, ...sums))
  const chosen = looked === null ? undefined : days[looked]
  return (
    <figure class="chart day-bars">
      <figcaption>
        <span>{label}</span>
        <span class="chart-legend" aria-live="polite">
          {chosen ? dayWords(chosen, unit) : legendOf(days).map(({ name, tone }) => (
            <span key={name}>
              <i class={`tone-${tone}`} aria-hidden="true" />
              {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div class="chart-room">
        <span class="chart-top numbers" aria-hidden="true">
          {rounded(largest)} {unit}
        </span>
        <ol class="bars" onPointerLeave={() => setLooked(null)}>
          {days.map((day, index) => (
            <li key={day.date} class={index === looked ? 'looked' : ''} tabIndex={0} aria-label={dayWords(day, unit)} onPointerEnter={() => setLooked(index)} onFocus={() => setLooked(index)} onBlur={() => setLooked(null)}>
              {day.parts.map(({ name, tone, value }) => (
                <span key={name} class={`tone-${tone}`} style={{ height: `${(100 * value) / largest}%` }} />
              ))}
            </li>
          ))}
        </ol>
      </div>
      <div class="chart-ends numbers small soft" aria-hidden="true">
        <span>{days[0]?.date}</span>
        <span>{days.at(-1)?.date}</span>
      </div>
    </figure>
  )
}

function legendOf(days: Day[]) {
  return days[0]?.parts ?? []
}

/** "2026-01-31: prompt 1,200, answer 80 tokens". Pure. */
export function dayWords({ date, parts }: Day, unit: string): string {
  return `${date}: ${parts.map(({ name, value }) => `${name} ${value.toLocaleString('en')}`).join(', ')} ${unit}`
}
