// Talk: conversations with a model, which the server keeps.

import { useEffect, useState } from 'preact/hooks'
import { models } from '../../api/models'
import { hasEnded } from '../../api/responses'
import { place } from '../../app/router'
import { IconButton } from '../../ui/button'
import { Empty, Loading, Notice } from '../../ui/states'
import { begin, Composer } from './composer'
import { Conversation } from './conversation'
import { asMarkdown, save } from './export'
import { SettingsDialog } from './settings'
import { Sidebar } from './sidebar'
import { asking, drawn, leaf, newThread, opening, openThread, settings, thread, turns } from './state'
import { pathTo } from './tree'
import './talk.css'

const BEGINNINGS = ['Explain how a hash table works, with a short example.', 'Write a haiku about the sea.', 'Name three rivers, and a fact about each.']

export default function Talk() {
  const [isSideOpen, setSideOpen] = useState(false)
  const [isSetting, setSetting] = useState(false)
  const { parts, query } = place.value
  useEffect(() => {
    const [id] = parts
    if (id) void openThread(id, query.get('at'))
    else if (thread.value) newThread()
  }, [parts[0], query.get('at')])
  const isNew = !turns.value.length && !asking.value && opening.value === 'no'
  return (
    <div class="talk">
      <Sidebar isOpen={isSideOpen} onDone={() => setSideOpen(false)} />
      {isSideOpen && <div class="talk-veil" onClick={() => setSideOpen(false)} />}
      <div class="talk-main">
        <header class="talk-head">
          <span class="talk-menu"><IconButton icon="menu" label="Conversations" aria-expanded={isSideOpen} onClick={() => setSideOpen(!isSideOpen)} /></span>
          <h1 class="visually-hidden">Talk</h1>
          <ModelChoice />
          <span class="talk-tools">
            <IconButton icon="save" label="Save this conversation" disabled={isNew} onClick={saveIt} />
            <IconButton icon="settings" label="How the model is asked" onClick={() => setSetting(true)} />
          </span>
        </header>
        {opening.value === 'yes' ? <div class="talk-scroll"><Loading what="Opening" /></div> : opening.value !== 'no' ? <div class="talk-scroll"><Notice tone="bad"><p>{opening.value}</p></Notice></div> : isNew ? <Beginning /> : <Conversation />}
        <Composer />
        <Ended />
      </div>
      {isSetting && <SettingsDialog onClose={() => setSetting(false)} />}
    </div>
  )
}

function saveIt(): void {
  const path = pathTo(turns.value, leaf.value)
  save('conversation.md', 'text/markdown', asMarkdown(path))
  save('conversation.json', 'application/json', JSON.stringify({ id: thread.value, turns: turns.value }, null, 2))
}

function ModelChoice() {
  const known = models.now.value
  const writing = known.state === 'there' ? known.value.filter((model) => model.type === 'generation') : []
  useEffect(() => {
    if (writing.length && !writing.some(({ id }) => id === settings.value.model)) settings.value = { ...settings.value, model: writing[0]?.id ?? '' }
  }, [known])
  if (known.state === 'failed') return <span class="badge bad">{known.why}</span>
  return (
    <select class="input talk-model" aria-label="Model" value={settings.value.model} onChange={(event) => (settings.value = { ...settings.value, model: event.currentTarget.value })}>
      {writing.map(({ id, loaded }) => (
        <option key={id} value={id} selected={id === settings.value.model}>{loaded ? id : `${id} (loads first)`}</option>
      ))}
    </select>
  )
}

function Beginning() {
  return (
    <div class="talk-scroll">
      <Empty icon="talk" title="What would you like to talk about?">
        <p>Everything stays on this server. Attach files, or answer from your documents in the settings.</p>
        <div class="talk-beginnings">
          {BEGINNINGS.map((text) => (
            <button key={text} type="button" class="talk-beginning" onClick={() => begin(text)}>{text}</button>
          ))}
        </div>
      </Empty>
    </div>
  )
}

/** Says aloud that an answer has ended: its words are in the conversation. */
function Ended() {
  void drawn.value
  const last = turns.value.find((turn) => turn.response.id === leaf.value)
  return <p class="visually-hidden" role="status">{last && hasEnded(last.response) ? 'The answer has ended.' : ''}</p>
}
