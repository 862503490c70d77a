// Making, limiting and revoking a key. A secret is shown once, and forgotten when its window closes.

import { useEffect, useState } from 'preact/hooks'
import { post, remove, request, told } from '../../api/client'
import { Button, CopyButton } from '../../ui/button'
import { Dialog } from '../../ui/dialog'
import { CheckField, TextField } from '../../ui/field'
import { Notice } from '../../ui/states'
import { say } from '../../ui/toast'
import { LIMITS, SCOPES, entered, limitsOf, type Key, type Limits } from './keys'

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/

interface Made extends Key {
  secret: string
}

export function CreateKey({ onClose }: { onClose: () => void }) {
  const [secret, setSecret] = useState<{ name: string; text: string } | null>(null)
  useEffect(() => () => setSecret(null), [])
  if (secret) return <Secret name={secret.name} text={secret.text} onClose={onClose} />
  return <CreateForm onClose={onClose} onMade={({ name, secret: text }) => setSecret({ name, text })} />
}

function CreateForm({ onClose, onMade }: { onClose: () => void; onMade: (made: Made) => void }) {
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState(() => new Set(['generate']))
  const [limits, setLimits] = useState(entered(null))
  const [models, setModels] = useState('')
  const [failure, setFailure] = useState('')
  const [isTried, setTried] = useState(false)
  const turn = (scope: string, isOn: boolean) => {
    const changed = new Set(scopes)
    if (isOn) changed.add(scope)
    else changed.delete(scope)
    setScopes(changed)
  }
  const nameError = isTried && !NAME.test(name) ? 'Up to 64 of a-z, 0-9, ".", "_" and "-".' : null
  const make = async (event: Event) => {
    event.preventDefault()
    setTried(true)
    const wanted = limitsOf(limits)
    if (!NAME.test(name) || !wanted || !scopes.size) return
    const named = models.split(',').map((one) => one.trim()).filter(Boolean)
    try {
      onMade(await post<Made>('/v1/keys', { name, scopes: [...scopes], ...given(wanted), ...(named.length && { models: named }) }))
    } catch (error) {
      setFailure(told(error))
    }
  }
  return (
    <Dialog title="New key" onClose={onClose}>
      <form class="stack" onSubmit={(event) => void make(event)}>
        <TextField label="Name" value={name} onText={setName} autoFocus autocomplete="off" spellcheck={false} placeholder="alice" hint="What it uses and stores goes by this name." error={nameError} />
        <fieldset class="keys-group">
          <legend>It may</legend>
          {SCOPES.map(([scope, words]) => (
            <CheckField key={scope} label={`${scope}: ${words}`} isOn={scopes.has(scope)} onChange={(isOn) => turn(scope, isOn)} />
          ))}
          {isTried && !scopes.size && <span class="error small">Choose at least one.</span>}
        </fieldset>
        <TextField label="Models (optional)" value={models} onText={setModels} spellcheck={false} hint="Names, separated by commas. Empty: every model." />
        <LimitFields texts={limits} onTexts={setLimits} isTried={isTried} />
        {failure && <Notice tone="bad">{failure}</Notice>}
        <div class="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" type="submit">Make the key</Button>
        </div>
      </form>
    </Dialog>
  )
}

/** The limits that were given. */
function given(limits: Limits): Partial<Limits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== null))
}

function Secret({ name, text, onClose }: { name: string; text: string; onClose: () => void }) {
  return (
    <Dialog title={`The key of ${name}`} onClose={onClose}>
      <Notice tone="warn">This is the only time it is shown: the server keeps a hash. Store it now.</Notice>
      <div class="keys-secret">
        <code>{text}</code>
        <CopyButton text={() => text} label="Copy the key" />
      </div>
      <div class="row end">
        <Button tone="primary" onClick={onClose}>I have stored it</Button>
      </div>
    </Dialog>
  )
}

function LimitFields({ texts, onTexts, isTried }: { texts: Record<keyof Limits, string>; onTexts: (texts: Record<keyof Limits, string>) => void; isTried: boolean }) {
  return (
    <fieldset class="keys-group keys-limits">
      <legend>Limits</legend>
      {LIMITS.map(([name, label]) => (
        <TextField
          key={name}
          label={label}
          inputMode="numeric"
          placeholder="the server's default"
          value={texts[name]}
          onText={(text) => onTexts({ ...texts, [name]: text })}
          error={isTried && !limitsOf({ ...entered(null), [name]: texts[name] }) ? 'A whole number above 0, or nothing.' : null}
        />
      ))}
    </fieldset>
  )
}

export function LimitKey({ of: key, onClose }: { of: Key; onClose: () => void }) {
  const [texts, setTexts] = useState(entered(key))
  const [isTried, setTried] = useState(false)
  const [failure, setFailure] = useState('')
  const save = async (event: Event) => {
    event.preventDefault()
    setTried(true)
    const wanted = limitsOf(texts)
    if (!wanted) return
    try {
      await request(`/v1/keys/${encodeURIComponent(key.name)}`, { method: 'PATCH', json: wanted })
      say(`The limits of ${key.name} hold from the next request on.`)
      onClose()
    } catch (error) {
      setFailure(told(error))
    }
  }
  return (
    <Dialog title={`Limit ${key.name}`} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void save(event)}>
        <LimitFields texts={texts} onTexts={setTexts} isTried={isTried} />
        {failure && <Notice tone="bad">{failure}</Notice>}
        <div class="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" type="submit">Save</Button>
        </div>
      </form>
    </Dialog>
  )
}

export function RevokeKey({ of: key, onClose }: { of: Key; onClose: () => void }) {
  const [failure, setFailure] = useState('')
  const revoke = async () => {
    try {
      await remove(`/v1/keys/${encodeURIComponent(key.name)}`)
      say(`The key of ${key.name} opens nothing any more.`)
      onClose()
    } catch (error) {
      setFailure(told(error))
    }
  }
  return (
    <Dialog title={`Revoke ${key.name}?`} onClose={onClose}>
      <p>What it is being answered goes on; its next request is refused. What it has stored stays, for a new key of the same name.</p>
      {failure && <Notice tone="bad">{failure}</Notice>}
      <div class="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button tone="primary" onClick={() => void revoke()}>Revoke</Button>
      </div>
    </Dialog>
  )
}
