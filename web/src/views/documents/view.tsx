// Documents: collections, what is in them, and questions to them.

import { useEffect, useState } from 'preact/hooks'
import { go, hashOf, place } from '../../app/router'
import { Button, IconButton } from '../../ui/button'
import { Dialog } from '../../ui/dialog'
import { TextField } from '../../ui/field'
import { Empty, Notice, Shown } from '../../ui/states'
import { Tabs } from '../../ui/tabs'
import { sayFailed } from '../../ui/toast'
import { count } from '../../ui/words'
import { told } from '../../api/client'
import { Ask } from './ask'
import { Contents } from './contents'
import { Reader } from './reader'
import { Search } from './search'
import { collections, contents, dropCollection, makeCollection, open, type Collection } from './state'
import './documents.css'

const TABS = [
  { id: 'contents', label: 'Contents' },
  { id: 'search', label: 'Search' },
  { id: 'ask', label: 'Ask' },
]

export default function Documents() {
  const [isMaking, setMaking] = useState(false)
  useEffect(() => void collections.refresh(), [])
  return (
    <div class="view documents">
      <div class="view-head">
        <h1>Documents</h1>
        <Button icon="plus" onClick={() => setMaking(true)}>New collection</Button>
      </div>
      <Shown of={collections} what="Looking for collections">{(all) => <Inside all={all} onMake={() => setMaking(true)} />}</Shown>
      {isMaking && <Making onClose={() => setMaking(false)} />}
    </div>
  )
}

function Inside({ all, onMake }: { all: Collection[]; onMake: () => void }) {
  const { parts, query } = place.value
  const name = parts[0] ?? all[0]?.name ?? ''
  const [tab, setTab] = useState('contents')
  useEffect(() => {
    if (open.value === name) return
    open.value = name
    if (name) void contents.refresh()
  }, [name])
  if (!all.length && !parts[0]) {
    return (
      <Empty icon="documents" title="No documents yet">
        <p>Make a collection, drop files into it, and ask them. Every sentence of an answer says which words it rests on.</p>
        <Button tone="primary" icon="plus" onClick={onMake}>New collection</Button>
      </Empty>
    )
  }
  const known = all.find((one) => one.name === name)
  const document = query.get('document')
  return (
    <>
      <Chooser all={all} name={name} />
      {known?.status === 'damaged' && <Notice tone="bad"><p>{known.damage}</p></Notice>}
      {open.value === name && (
        <>
          <Tabs label="What to do" tabs={TABS} chosen={tab} onChoose={setTab} />
          <div class="documents-tab">{tab === 'contents' ? <Contents /> : tab === 'search' ? <Search /> : <Ask />}</div>
        </>
      )}
      {document && (
        <Reader
          collection={name}
          id={document}
          start={Number(query.get('start') ?? 0)}
          end={Number(query.get('end') ?? 0)}
          page={Number(query.get('page') ?? 0)}
          onClose={() => go('documents', [name])}
        />
      )}
    </>
  )
}

function Chooser({ all, name }: { all: Collection[]; name: string }) {
  return (
    <ul class="documents-collections" aria-label="Collections">
      {all.map((one) => (
        <li key={one.name}>
          <a href={hashOf('documents', [one.name])} aria-current={one.name === name ? 'page' : undefined}>
            <strong dir="auto">{one.name}</strong>
            <span class="soft small">{one.documents === null ? one.status : count(one.documents, 'document')}</span>
          </a>
          {one.name === name && <IconButton little icon="trash" label={`Delete the collection ${one.name}`} onClick={() => void drop(one.name)} />}
        </li>
      ))}
    </ul>
  )
}

async function drop(name: string): Promise<void> {
  if (!confirm(`Delete the collection ${name} with all its documents?`)) return
  try {
    await dropCollection(name)
    open.value = ''
    go('documents')
  } catch (error) {
    sayFailed(error)
  }
}

function Making({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('')
  const [problem, setProblem] = useState('')
  const make = async (event: Event) => {
    event.preventDefault()
    try {
      await makeCollection(name.trim())
      onClose()
      go('documents', [name.trim()])
    } catch (error) {
      setProblem(told(error))
    }
  }
  return (
    <Dialog title="New collection" onClose={onClose}>
      <form class="stack" onSubmit={(event) => void make(event)}>
        <TextField label="Name" value={name} onText={setName} error={problem || null} hint="Letters, digits, - and _" autoFocus required />
        <div class="row end">
          <Button tone="primary" type="submit" disabled={!name.trim()}>Make it</Button>
        </div>
      </form>
    </Dialog>
  )
}
