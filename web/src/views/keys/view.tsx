// Keys: who may do what, made, limited and revoked; and what each has used, day by day.

import { useEffect, useState } from 'preact/hooks'
import { get } from '../../api/client'
import { source } from '../../api/load'
import { go, place } from '../../app/router'
import { Button } from '../../ui/button'
import '../../ui/chart.css'
import { Notice, Shown } from '../../ui/states'
import { Table, type Column } from '../../ui/table'
import { CreateKey, LimitKey, RevokeKey } from './dialogs'
import './keys.css'
import { keys, limitWords, type Key, type KeyList, type UsageList } from './keys'
import { Usage } from './usage'

const own = source(() => get<UsageList>('/v1/usage?days=30'))

type Window = { what: 'create' } | { what: 'limit' | 'revoke'; key: Key }

export default function Keys() {
  useEffect(() => void keys.refresh(), [])
  const now = keys.now.value
  if (now.state === 'failed' && now.status === 403) return <OwnUsage />
  return (
    <div class="view keys">
      <Shown of={keys} what="Asking for the keys">{(list) => <Listed list={list} />}</Shown>
    </div>
  )
}

/** What a key without the scope `admin` sees: its own use. */
function OwnUsage() {
  useEffect(() => void own.refresh(), [])
  return (
    <div class="view keys">
      <div class="view-head">
        <h1>What this key has used</h1>
      </div>
      <Shown of={own}>{(list) => <Usage list={list} title="The last 30 days" />}</Shown>
      <p class="small soft">Keys are managed with a key that has the scope <code>admin</code>.</p>
    </div>
  )
}

function Listed({ list }: { list: KeyList }) {
  const [open, setOpen] = useState<Window | null>(null)
  const close = () => {
    setOpen(null)
    void keys.refresh()
  }
  const chosen = list.data.find(({ name }) => name === place.value.parts[0])
  return (
    <>
      <div class="view-head">
        <h1>Keys</h1>
        <Button tone="primary" icon="plus" disabled={list.problem !== null} onClick={() => setOpen({ what: 'create' })}>
          New key
        </Button>
      </div>
      {list.problem && <Notice tone="warn">{list.problem}</Notice>}
      <div class="stack keys-parts">
        {list.data.length > 0 && <Table caption="Keys" columns={columns(list, setOpen)} rows={list.data} keyOf={({ name }) => name} />}
        {!list.data.length && <p class="soft">There is no key: who reaches this server may use it.</p>}
        {chosen && <UsageOf key={chosen.name} name={chosen.name} />}
      </div>
      {open?.what === 'create' && <CreateKey onClose={close} />}
      {open?.what === 'limit' && <LimitKey of={open.key} onClose={close} />}
      {open?.what === 'revoke' && <RevokeKey of={open.key} onClose={close} />}
    </>
  )
}

function columns(list: KeyList, open: (window: Window) => void): Column<Key>[] {
  return [
    {
      title: 'Name',
      cell: (key) => (
        <span class="keys-name">
          <a href={`#/keys/${encodeURIComponent(key.name)}`} aria-current={key.name === place.value.parts[0] ? 'true' : undefined}>{key.name}</a>
          <span class="small soft">{key.origin === 'settings' ? 'of the settings' : (key.created ?? '')}</span>
        </span>
      ),
    },
    {
      title: 'May',
      cell: (key) => (
        <span class="keys-scopes">
          {key.scopes.map((scope) => (
            <span key={scope} class={`badge ${scope === 'admin' ? 'accent' : ''}`}>{scope}</span>
          ))}
        </span>
      ),
    },
    { title: 'Of', cell: (key) => <span class="small" dir="auto">{reach(key)}</span> },
    { title: 'Limits', cell: (key) => <span class="small">{limitWords(key.in_force)}</span> },
    {
      title: '',
      right: true,
      cell: (key) =>
        key.origin === 'file' && (
          <span class="keys-actions">
            <Button little disabled={list.problem !== null} aria-label={`Limit ${key.name}`} onClick={() => open({ what: 'limit', key })}>Limit</Button>
            <Button little tone="bad" disabled={list.problem !== null} aria-label={`Revoke ${key.name}`} onClick={() => open({ what: 'revoke', key })}>Revoke</Button>
          </span>
        ),
    },
  ]
}

function reach({ models, collections }: Key): string {
  const words = [models ? models.join(', ') : 'every model']
  if (collections) words.push(Object.entries(collections).map(([name, right]) => `${name} (${right})`).join(', '))
  return words.join('; ')
}

function UsageOf({ name }: { name: string }) {
  const [used] = useState(() => source(() => get<UsageList>(`/v1/keys/${encodeURIComponent(name)}/usage?days=30`)))
  useEffect(() => void used.refresh(), [])
  return (
    <section class="card stack" aria-label={`Usage of ${name}`}>
      <div class="keys-usage-head">
        <h2>What {name} has used</h2>
        <Button little icon="again" onClick={() => void used.refresh()}>Look again</Button>
        <Button little tone="quiet" icon="close" onClick={() => go('keys')}>Close</Button>
      </div>
      <Shown of={used}>{(list) => <Usage list={list} title="The last 30 days" />}</Shown>
    </section>
  )
}
