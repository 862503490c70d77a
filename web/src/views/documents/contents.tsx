// What is in a collection, how fresh it is, what failed and why; and where files are dropped.

import { useRef, useState } from 'preact/hooks'
import { hashOf } from '../../app/router'
import { Bar } from '../../ui/bar'
import { Button, IconButton } from '../../ui/button'
import { Icon } from '../../ui/icon'
import { Notice, Shown } from '../../ui/states'
import { Table } from '../../ui/table'
import { sayFailed } from '../../ui/toast'
import { ago, count } from '../../ui/words'
import { dropped, picked } from './dropping'
import { arriving, contents, dropDocument, forgetArrived, moreDocuments, open, store, type Arriving, type Contents as Known, type Report, type StoredDocument } from './state'

export function Contents() {
  return (
    <div class="stack">
      <DropPlace />
      <Arrivals />
      <Shown of={contents} what="Looking through the collection">{(known) => <Inside known={known} />}</Shown>
    </div>
  )
}

function DropPlace() {
  const [isOver, setOver] = useState(false)
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  return (
    <div
      class={`documents-drop${isOver ? ' over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        if (event.dataTransfer) void dropped(event.dataTransfer).then(store, sayFailed)
      }}
    >
      <Icon name="folder" />
      <p>Drop files or folders here, or</p>
      <div class="row">
        <Button little onClick={() => files.current?.click()}>choose files</Button>
        <Button little onClick={() => folder.current?.click()}>choose a folder</Button>
      </div>
      <input ref={files} class="documents-files" type="file" multiple hidden onChange={(event) => take(event.currentTarget)} />
      <input ref={folder} type="file" multiple hidden {...{ webkitdirectory: true }} onChange={(event) => take(event.currentTarget)} />
    </div>
  )
}

function take(input: HTMLInputElement): void {
  store(picked(input.files))
  input.value = ''
}

const STATES = { waiting: 'waits', sending: 'is sent', reading: 'is read', stored: '', failed: '' }

function Arrivals() {
  const all = arriving.value.filter((one) => one.collection === open.value)
  if (!all.length) return null
  const over = all.filter((one) => one.state === 'stored' || one.state === 'failed').length
  return (
    <section class="card stack" aria-label="Files on their way" aria-live="polite">
      <div class="row">
        <h2>{over < all.length ? `${over} of ${count(all.length, 'file')} done` : `${count(all.length, 'file')} done`}</h2>
        {over === all.length && <Button little onClick={forgetArrived}>Close</Button>}
      </div>
      <ul class="documents-arrivals">
        {all.map((one) => <Arrival key={one.key} one={one} />)}
      </ul>
    </section>
  )
}

function Arrival({ one }: { one: Arriving }) {
  return (
    <li>
      <span class="documents-name" dir="auto">{one.name}</span>
      {one.state === 'failed' ? (
        <span class="documents-why" dir="auto">{one.said}</span>
      ) : (
        <>
          <span class="soft small">{STATES[one.state] || one.said}</span>
          <Bar label={`${one.name} ${STATES[one.state] || one.said}`} parts={[{ share: one.state === 'stored' ? 1 : one.share * 0.7, tone: 1 }]} />
        </>
      )}
    </li>
  )
}

function Inside({ known }: { known: Known }) {
  const { report } = known
  const newest = Math.max(0, ...report.sources.map((one) => one.last_stored_at))
  if (!report.documents && !report.failed.total) return <p class="soft">Nothing is in this collection yet.</p>
  return (
    <>
      <p class="documents-summary">
        {count(report.documents, 'document')} · {count(report.chunks, 'passage')} · {count(report.characters, 'character')}
        {newest ? ` · newest ${ago(newest)}` : ''}
        {report.kinds.length ? ` · ${report.kinds.map((one) => `${one.documents} ${one.kind}`).join(', ')}` : ''}
      </p>
      <Sources report={report} />
      <Listed title="Could not be read" named={report.failed} />
      <Listed title="May be out of date" named={report.stale} />
      <Table caption="Documents" keyOf={(one) => one.id} rows={known.documents} columns={COLUMNS} />
      {known.cursor && <Button onClick={() => void moreDocuments(known).catch(sayFailed)}>Show more</Button>}
    </>
  )
}

const ORIGINS: Record<string, string> = { folder: 'folder', git: 'Git repository', url: 'web pages', file: 'files', upload: 'uploads', text: 'texts' }

function Sources({ report }: { report: Report }) {
  return (
    <details class="documents-from">
      <summary>Where they came from</summary>
      <ul>
        {report.sources.map((one) => (
          <li key={`${one.type} ${one.name}`}>
            {ORIGINS[one.type] ?? one.type} <strong dir="auto">{one.name}</strong>: {count(one.documents, 'document')}, newest {ago(one.last_stored_at)}
            {one.last_synced_at ? `, compared ${ago(one.last_synced_at)}` : ''}
          </li>
        ))}
      </ul>
    </details>
  )
}

function Listed({ title, named }: { title: string; named: { total: number; data: { document_id: string; reason: string }[] } }) {
  if (!named.total) return null
  return (
    <Notice tone="warn">
      <p><strong>{title}: {count(named.total, 'file')}</strong></p>
      <ul class="documents-reasons">
        {named.data.map((one) => <li key={one.document_id} dir="auto"><strong>{one.document_id}</strong>: {one.reason}</li>)}
      </ul>
    </Notice>
  )
}

const COLUMNS = [
  {
    title: 'Document',
    cell: (one: StoredDocument) => (
      <a href={hashOf('documents', [open.value], { document: one.id })} dir="auto">{one.title || one.id}</a>
    ),
  },
  { title: 'Passages', right: true, cell: (one: StoredDocument) => one.chunks },
  { title: 'Characters', right: true, cell: (one: StoredDocument) => one.characters.toLocaleString('en') },
  { title: 'Stored', cell: (one: StoredDocument) => ago(one.stored_at) },
  {
    title: '',
    right: true,
    cell: (one: StoredDocument) => (
      <IconButton little icon="trash" label={`Delete ${one.title || one.id}`} onClick={() => {
        if (confirm(`Delete ${one.title || one.id} from this collection?`)) void dropDocument(one.id).catch(sayFailed)
      }} />
    ),
  },
]
