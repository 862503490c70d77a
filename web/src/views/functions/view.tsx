// What this server can run, for models and for people: each with a form to try it.

import { useEffect, useState } from 'preact/hooks'
import { get } from '../../api/client'
import { source } from '../../api/load'
import { go, place } from '../../app/router'
import { TextField } from '../../ui/field'
import { Empty, Notice, Shown } from '../../ui/states'
import { count } from '../../ui/words'
import './functions.css'
import { Try } from './try'
import type { Schema } from './schema'

export interface Origin {
  type: string
  name: string
}

export interface FunctionEntry {
  name: string
  description: string
  parameters: Schema
  origin: Origin
}

interface FunctionList {
  data: FunctionEntry[]
  problems: { origin: Origin; message: string }[]
}

const functions = source(() => get<FunctionList>('/v1/functions'))

const ORIGINS: Record<string, string> = {
  built_in: 'Built in',
  file: 'Files',
  package: 'Packages',
  program: 'This program',
  mcp: 'MCP servers',
}

export default function Functions() {
  useEffect(() => void functions.refresh(), [])
  return (
    <div class="view functions">
      <div class="view-head">
        <h1>Functions</h1>
      </div>
      <Shown of={functions} what="Asking for the functions">{(list) => <Found list={list} />}</Shown>
    </div>
  )
}

function Found({ list }: { list: FunctionList }) {
  const [wanted, setWanted] = useState('')
  const chosen = list.data.find(({ name }) => name === place.value.parts[0])
  const words = wanted.toLowerCase()
  const shown = list.data.filter(({ name, description }) => `${name} ${description}`.toLowerCase().includes(words))
  return (
    <div class="functions-columns" data-chosen={chosen ? '' : undefined}>
      <div class="functions-list stack">
        <TextField label="Find" type="search" value={wanted} onText={setWanted} placeholder="weather" />
        {groupsOf(shown).map(([title, origin, group]) => (
          <section key={`${title} ${origin}`} aria-label={`${title}: ${origin}`}>
            <h2 class="small">
              {title} <span class="soft" dir="auto">{origin}</span>
            </h2>
            <ul>
              {group.map((one) => (
                <li key={one.name}>
                  <a href={`#/functions/${encodeURIComponent(one.name)}`} aria-current={one === chosen ? 'page' : undefined}>
                    <span>{one.name}</span>
                    <span class="small soft functions-line" dir="auto">{one.description}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {!shown.length && <p class="soft small">{list.data.length ? 'No function is called so.' : 'This server has no functions.'}</p>}
        {list.problems.map(({ origin, message }) => (
          <Notice key={`${origin.name} ${message}`} tone="warn">
            <strong>{origin.name}</strong>: <span dir="auto">{message}</span>
          </Notice>
        ))}
        <p class="small soft">
          {count(list.data.length, 'function')}. Programs find them as an MCP server at <code>/mcp</code>.
        </p>
      </div>
      <div class="functions-chosen">
        {chosen ? (
          <Try key={chosen.name} of={chosen} onBack={() => go('functions')} />
        ) : (
          <Empty icon="functions" title="Try a function">
            <p>Choose one: its form comes from the schema that models get.</p>
          </Empty>
        )}
      </div>
    </div>
  )
}

/** By kind of origin and its name, in the order of the list. */
function groupsOf(list: FunctionEntry[]): [string, string, FunctionEntry[]][] {
  const groups = new Map<string, [string, string, FunctionEntry[]]>()
  for (const one of list) {
    const title = ORIGINS[one.origin.type] ?? one.origin.type
    const id = `${title}\n${one.origin.name}`
    const group = groups.get(id) ?? [title, one.origin.name, []]
    group[2].push(one)
    groups.set(id, group)
  }
  return [...groups.values()]
}
