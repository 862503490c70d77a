// One function: its arguments as a form or as JSON, and what came back, shown as the text it is.

import { useState } from 'preact/hooks'
import { ApiError, post, told } from '../../api/client'
import { Button, CopyButton, IconButton } from '../../ui/button'
import { TextArea } from '../../ui/field'
import { Notice, Spinner } from '../../ui/states'
import { Tabs } from '../../ui/tabs'
import { seconds } from '../../ui/words'
import { Parts } from './form'
import { EntryError, fieldOf, initial, valueOf, type Entry } from './schema'
import type { FunctionEntry } from './view'

interface Answer {
  result: unknown
  is_error: boolean
  error: { code: string; message: string } | null
  duration_seconds: number
}

type Way = 'form' | 'json'

export function Try({ of: chosen, onBack }: { of: FunctionEntry; onBack: () => void }) {
  const root = chosen.parameters
  const field = { ...fieldOf(root, root, true), kind: 'object' as const }
  const [way, setWay] = useState<Way>('form')
  const [entry, setEntry] = useState<Entry>(() => initial(field, root))
  const [text, setText] = useState('{}')
  const [wrong, setWrong] = useState<{ path: string; text: string } | null>(null)
  const [isBusy, setBusy] = useState(false)
  const [answer, setAnswer] = useState<Answer | null>(null)
  const [refusal, setRefusal] = useState('')

  const given = (): unknown => (way === 'form' ? valueOf(field, entry, root) : parsed(text))
  const change = (to: string) => {
    if (to === 'json') setText(pretty(quietly(given) ?? {}))
    setWay(to as Way)
    setWrong(null)
  }
  const run = async (event: Event) => {
    event.preventDefault()
    setWrong(null)
    setRefusal('')
    setBusy(true)
    try {
      setAnswer(await post<Answer>(`/v1/functions/${encodeURIComponent(chosen.name)}`, { arguments: given() }))
    } catch (error) {
      setAnswer(null)
      if (error instanceof EntryError) setWrong({ path: error.path, text: error.message })
      else setRefusal(error instanceof ApiError ? error.message : told(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <div class="stack">
      <div class="functions-head">
        <IconButton icon="left" label="Back to the list" onClick={onBack} />
        <h2>{chosen.name}</h2>
        <span class="badge" dir="auto">{chosen.origin.name}</span>
      </div>
      <p class="functions-about" dir="auto">{chosen.description}</p>
      <form class="card stack" noValidate onSubmit={(event) => void run(event)}>
        <div class="functions-ways">
          <h3>Arguments</h3>
          <Tabs label="How arguments are entered" tabs={[{ id: 'form', label: 'Form' }, { id: 'json', label: 'JSON' }]} chosen={way} onChoose={change} />
        </div>
        {way === 'form' ? (
          <Parts field={field} root={root} path="" entry={entry} wrong={wrong} onEntry={setEntry} />
        ) : (
          <TextArea label="Arguments as JSON" mono rows={8} spellcheck={false} value={text} onText={setText} error={wrong?.text ?? null} />
        )}
        {way === 'form' && !Object.keys(root.properties ?? {}).length && <p class="soft small">It takes none.</p>}
        <div class="row">
          <Button tone="primary" type="submit" icon="play" disabled={isBusy}>Run</Button>
          {isBusy && <Spinner />}
        </div>
      </form>
      {refusal && <Notice tone="bad">{refusal}</Notice>}
      {answer && <Result of={answer} />}
    </div>
  )
}

function Result({ of: { result, error, duration_seconds } }: { of: Answer }) {
  const text = error ? error.message : typeof result === 'string' ? result : pretty(result)
  return (
    <section class="card stack" aria-label="Result" aria-live="polite">
      <div class="functions-ways">
        <h3>
          {error ? 'It failed' : 'Result'} <span class="soft small numbers">in {seconds(duration_seconds)}</span>
        </h3>
        <CopyButton text={() => text} label="Copy the result" />
      </div>
      {error ? <Notice tone="bad">{text}</Notice> : <pre class="functions-result" dir="auto" tabIndex={0}>{text}</pre>}
    </section>
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new EntryError('', 'This is no JSON.')
  }
}

function quietly(compute: () => unknown): unknown {
  try {
    return compute()
  } catch {
    return undefined
  }
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2)
}
