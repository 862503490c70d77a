// An answer, sentence by sentence: what each rests on, and whether that is enough. Pure.

import { cutAt } from './text'

interface Span {
  start: number
  end: number
}

export interface Source {
  number: number
  document_id: string
  title: string
  span: Span
  page: number | null
  score: number
}

export interface Citation {
  number: number
  marker: Span
  document_id: string
  span: Span
  quote: string
  sentence: Span
  supported: boolean
}

export interface Support {
  place: Span
  supported: boolean
}

export interface Sentence {
  text: string
  /** What stands between it and the next. */
  gap: string
  citations: Citation[]
  /** null where nothing was judged. */
  isSupported: boolean | null
}

const MARKER = /\s?\[\d+\]/g

/** The whole text in pieces; the model's own markers are left out. */
export function sentencesOf(text: string, citations: Citation[], support: Support[]): Sentence[] {
  const places = support.length ? support : citations.map((one) => ({ place: one.sentence, supported: true }))
  const ordered = [...new Map(places.map((one) => [one.place.start, one])).values()].sort((a, b) => a.place.start - b.place.start)
  const sentences: Sentence[] = []
  let done = 0
  for (const { place, supported } of ordered) {
    if (place.start < done) continue
    const gap = cutAt(text, done, place.start)[1].replace(MARKER, '')
    const before = sentences.at(-1)
    if (before) before.gap = gap
    else if (gap) sentences.push({ text: gap, gap: '', citations: [], isSupported: null })
    const said = cutAt(text, place.start, place.end)[1].replace(MARKER, '')
    const own = citations.filter((one) => one.sentence.start >= place.start && one.sentence.start < place.end)
    sentences.push({ text: said, gap: '', citations: distinct(own), isSupported: support.length ? supported : null })
    done = place.end
  }
  const rest = cutAt(text, done, done + text.length)[1].replace(MARKER, '')
  if (rest) sentences.push({ text: rest, gap: '', citations: [], isSupported: null })
  return sentences
}

function distinct(citations: Citation[]): Citation[] {
  return [...new Map(citations.map((one) => [`${one.number} ${one.span.start}`, one])).values()]
}
