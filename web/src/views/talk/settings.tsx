// How the model is asked: what it is told first, how it draws, what it may call and look up.

import { useEffect } from 'preact/hooks'
import { get } from '../../api/client'
import { source } from '../../api/load'
import { Dialog } from '../../ui/dialog'
import { CheckField, SelectField, TextArea, TextField } from '../../ui/field'
import { settings, type Settings } from './state'

const functions = source(async () => (await get<{ data: { name: string; description: string }[] }>('/v1/functions')).data)
const collections = source(async () => (await get<{ data: { name: string }[] }>('/v1/rag/collections')).data)

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  useEffect(() => {
    void functions.refresh()
    void collections.refresh()
  }, [])
  const now = settings.value
  const change = (part: Partial<Settings>) => (settings.value = { ...settings.value, ...part })
  const callable = functions.now.value
  const stores = collections.now.value
  const toggle = (name: string, isOn: boolean) =>
    change({ functions: isOn ? [...now.functions, name] : now.functions.filter((one) => one !== name) })
  return (
    <Dialog title="How the model is asked" onClose={onClose}>
      <TextArea label="System prompt" placeholder="What the model is told before everything" value={now.instructions} onText={(instructions) => change({ instructions })} />
      <div class="talk-sampling">
        <TextField label="Temperature" type="number" min={0} max={2} step={0.1} placeholder="default" value={now.temperature} onText={(temperature) => change({ temperature })} />
        <TextField label="Top p" type="number" min={0} max={1} step={0.05} placeholder="default" value={now.topP} onText={(topP) => change({ topP })} />
        <TextField label="Longest answer" type="number" min={1} step={1} placeholder="default" value={now.maxTokens} onText={(maxTokens) => change({ maxTokens })} />
      </div>
      {stores.state === 'there' && (
        <SelectField
          label="Answer from documents"
          hint="Sentences are cited; a click opens the very words."
          value={now.collection}
          onText={(collection) => change({ collection })}
          options={[{ value: '', label: 'No documents' }, ...stores.value.map(({ name }) => ({ value: name, label: name }))]}
        />
      )}
      {callable.state === 'there' && callable.value.length > 0 && (
        <fieldset class="talk-functions">
          <legend>Functions it may call</legend>
          {callable.value.map(({ name }) => (
            <CheckField key={name} label={name} isOn={now.functions.includes(name)} onChange={(isOn) => toggle(name, isOn)} />
          ))}
        </fieldset>
      )}
    </Dialog>
  )
}
