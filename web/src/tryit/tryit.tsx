// "Try it": what was just done in any view, as a program would do it, ready to copy.

import { useState } from 'preact/hooks'
import { key } from '../app/session'
import { CopyButton } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { SelectField } from '../ui/field'
import { Icon } from '../ui/icon'
import { Tabs } from '../ui/tabs'
import { recent, sorted, type Done } from './done'
import { snippet, type Language } from './snippets'
import './tryit.css'

const LANGUAGES = [
  { id: 'curl', label: 'curl' },
  { id: 'python', label: 'Python' },
  { id: 'javascript', label: 'JavaScript' },
]

/** In the rail, since it is for every view. */
export function TryIt() {
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <button type="button" class="rail-item" onClick={() => setOpen(true)}>
        <Icon name="code" />
        Try it
      </button>
      {isOpen && <Shown onClose={() => setOpen(false)} />}
    </>
  )
}

function Shown({ onClose }: { onClose: () => void }) {
  const [all] = useState(() => sorted(recent.value))
  const [chosen, setChosen] = useState(0)
  const [language, setLanguage] = useState<Language>('curl')
  const done = all[chosen]
  const text = done ? withoutKey(snippet(language, done, address())) : ''
  return (
    <Dialog title="The same from a program" onClose={onClose} wide>
      {done ? (
        <>
          <div class="tryit-head">
            <SelectField label="What was done" value={String(chosen)} onText={(index) => setChosen(Number(index))} options={all.map((one, index) => ({ value: String(index), label: named(one) }))} />
            <Tabs label="Language" tabs={LANGUAGES} chosen={language} onChoose={(id) => setLanguage(id as Language)} />
          </div>
          <div class="tryit-code">
            <pre tabIndex={0} aria-label={`As ${language}`}>{text}</pre>
            <CopyButton text={() => text} label="Copy the code" />
          </div>
          <p class="small soft">
            It takes the key from <code>API_KEY</code>: <code>export API_KEY=…</code>{language === 'python' && <>; <code>pip install openai</code></>}{language === 'javascript' && '; Node 20 or newer, or a browser'}.
          </p>
        </>
      ) : (
        <p class="soft">Do something first: ask a model, run a function, search.</p>
      )}
    </Dialog>
  )
}

function named({ method, path }: Done): string {
  return `${method} ${path}`
}

function address(): string {
  return document.baseURI.replace(/[#?].*$/, '').replace(/\/$/, '')
}

/** Whatever a person has pasted somewhere: the key of this tab is in no snippet. */
function withoutKey(text: string): string {
  const secret = key()
  return secret ? text.replaceAll(secret, '$API_KEY') : text
}
