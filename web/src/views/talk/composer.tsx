// Where a question is written: text, files, send and stop.

import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { remove, upload } from '../../api/client'
import { hasEnded } from '../../api/responses'
import { IconButton } from '../../ui/button'
import { Icon } from '../../ui/icon'
import { sayFailed } from '../../ui/toast'
import { percent } from '../../ui/words'
import { ask, asking, drawn, leaf, question, settings, stop, turns } from './state'

interface Attached {
  name: string
  id: string
  share: number
}

const draft = signal('')
const files = signal<Attached[]>([])

export function begin(text: string): void {
  draft.value = text
}

export function Composer() {
  const area = useRef<HTMLTextAreaElement>(null)
  const picker = useRef<HTMLInputElement>(null)
  void drawn.value
  const last = turns.value.find((turn) => turn.response.id === leaf.value)
  const running = last && !hasEnded(last.response) ? last.response.id : null
  const isUploading = files.value.some((file) => !file.id)
  const isAsking = asking.value !== null && !asking.value.problem
  const canSend = !!draft.value.trim() && !running && !isAsking && !isUploading && !!settings.value.model

  useEffect(() => fit(area.current), [draft.value])

  const send = () => {
    if (!canSend) return
    const given = question(draft.value, files.value.map(({ id, name }) => ({ id, name })))
    draft.value = ''
    files.value = []
    void ask(given, leaf.value)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault()
      send()
    }
  }
  return (
    <form
      class="talk-composer"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault()
        attach([...(event.dataTransfer?.files ?? [])])
      }}
    >
      {files.value.length > 0 && (
        <ul class="talk-files" aria-label="Attached files">
          {files.value.map((file) => (
            <li key={file.name} class="badge">
              <Icon name="clip" /> <span dir="auto">{file.name}</span> {!file.id && percent(file.share)}
              <button type="button" aria-label={`Leave out ${file.name}`} onClick={() => leaveOut(file)}><Icon name="close" /></button>
            </li>
          ))}
        </ul>
      )}
      <div class="talk-line">
        <IconButton icon="clip" label="Attach files" onClick={() => picker.current?.click()} />
        <input ref={picker} type="file" multiple hidden aria-hidden="true" tabIndex={-1} onChange={(event) => {
          attach([...(event.currentTarget.files ?? [])])
          event.currentTarget.value = ''
        }} />
        <textarea ref={area} rows={1} dir="auto" aria-label="Your message" placeholder="Write a message" value={draft.value} onInput={(event) => (draft.value = event.currentTarget.value)} onKeyDown={onKeyDown} />
        {running ? (
          <IconButton icon="stop" tone="primary" label="Stop the answer" onClick={() => void stop(running).catch(sayFailed)} />
        ) : (
          <IconButton icon="send" tone="primary" label="Send" type="submit" disabled={!canSend} />
        )}
      </div>
    </form>
  )
}

function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return
  area.style.height = 'auto'
  area.style.height = `${Math.min(area.scrollHeight, 260)}px`
}

function attach(given: File[]): void {
  for (const file of given) void send(file)
}

async function send(file: File): Promise<void> {
  const entry = (change: Partial<Attached>) => {
    files.value = files.value.map((one) => (one.name === file.name ? { ...one, ...change } : one))
  }
  files.value = [...files.value.filter((one) => one.name !== file.name), { name: file.name, id: '', share: 0 }]
  const form = new FormData()
  form.append('purpose', 'user_data')
  form.append('file', file)
  try {
    const stored = await upload<{ id: string }>('/v1/files', form, (share) => entry({ share }))
    entry({ id: stored.id, share: 1 })
  } catch (error) {
    files.value = files.value.filter((one) => one.name !== file.name)
    sayFailed(error)
  }
}

function leaveOut(file: Attached): void {
  files.value = files.value.filter((one) => one !== file)
  if (file.id) void remove(`/v1/files/${file.id}`).catch(() => undefined)
}

