// The conversations that the server keeps for this key, found by their words.

import { useEffect } from 'preact/hooks'
import { hashOf } from '../../app/router'
import { Button, IconButton } from '../../ui/button'
import { Loading, Notice } from '../../ui/states'
import { sayFailed } from '../../ui/toast'
import { ago } from '../../ui/words'
import { deleteThread, isKept, listThreads, search, thread, threads, threadsMore, threadsState } from './state'

let typing: ReturnType<typeof setTimeout> | undefined

export function Sidebar({ isOpen, onDone }: { isOpen: boolean; onDone: () => void }) {
  useEffect(() => void listThreads(), [])
  const look = (text: string) => {
    search.value = text
    clearTimeout(typing)
    typing = setTimeout(() => void listThreads(), 250)
  }
  const state = threadsState.value
  return (
    <aside class={`talk-side${isOpen ? ' open' : ''}`} aria-label="Conversations">
      <div class="talk-side-head">
        <a class="button primary" href="#/talk" onClick={onDone}>New conversation</a>
        <input class="input" type="search" aria-label="Search conversations" placeholder="Search" value={search.value} onInput={(event) => look(event.currentTarget.value)} />
      </div>
      {state === 'loading' ? <Loading /> : state !== 'there' ? <Notice tone="bad"><p>{state}</p></Notice> : null}
      {state === 'there' && !threads.value.length && (
        <p class="soft small talk-none">{!isKept.value ? 'This server keeps no conversations.' : search.value ? 'No conversation says that.' : 'What you ask is kept here, on the server.'}</p>
      )}
      <ul class="talk-threads">
        {threads.value.map((one) => (
          <li key={one.id} class="talk-thread">
            <a href={hashOf('talk', [one.id])} aria-current={one.id === thread.value ? 'page' : undefined} onClick={onDone}>
              <span class="talk-title" dir="auto">{one.title || 'Without words'}</span>
              <span class="soft small">{one.status === 'in_progress' ? 'Answering…' : ago(one.updated_at)}</span>
            </a>
            <IconButton little icon="trash" label={`Delete “${one.title}”`} onClick={() => void drop(one.id)} />
          </li>
        ))}
      </ul>
      {threadsMore.value && <Button little onClick={() => void listThreads(threads.value.at(-1)?.id)}>Show more</Button>}
    </aside>
  )
}

async function drop(id: string): Promise<void> {
  if (!confirm('Delete this conversation from the server?')) return
  try {
    const isOpen = thread.value === id
    await deleteThread(id)
    if (isOpen) location.hash = '#/talk'
  } catch (error) {
    sayFailed(error)
  }
}
