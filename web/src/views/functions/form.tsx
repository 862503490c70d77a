// The form of a JSON Schema. Each field says what it is for, and what is wrong with it.

import { Button, IconButton } from '../../ui/button'
import { CheckField, SelectField, TextArea, TextField } from '../../ui/field'
import { initial, itemOf, partsOf, type Entry, type Field, type Schema } from './schema'

interface PartProps {
  name: string
  field: Field
  root: Schema
  path: string
  entry: Entry
  wrong: { path: string; text: string } | null
  onEntry: (entry: Entry) => void
}

/** The fields of an object. */
export function Parts({ field, root, path, entry, wrong, onEntry }: Omit<PartProps, 'name'>) {
  const held = entry as Record<string, Entry>
  return (
    <>
      {partsOf(field.schema, root).map(([name, part]) => (
        <Part
          key={name}
          name={name}
          field={part}
          root={root}
          path={path ? `${path}.${name}` : name}
          entry={held[name] ?? ''}
          wrong={wrong}
          onEntry={(changed) => onEntry({ ...held, [name]: changed })}
        />
      ))}
    </>
  )
}

function Part(props: PartProps) {
  const { name, field, entry, path, wrong, onEntry } = props
  const label = field.isOptional ? `${name} (optional)` : name
  const hint = hintOf(field)
  const error = wrong?.path === path ? wrong.text : null
  const common = { label, error, ...(hint && { hint }) }
  switch (field.kind) {
    case 'boolean':
      return (
        <div class="field">
          <CheckField label={label} isOn={entry === true} onChange={onEntry} />
          {hint && <span class="hint" dir="auto">{hint}</span>}
        </div>
      )
    case 'choice':
      return <SelectField {...common} value={String(entry)} onText={onEntry} options={optionsOf(field)} />
    case 'number':
      return <TextField {...common} type="number" inputMode={field.isWhole ? 'numeric' : 'decimal'} step={field.isWhole ? 1 : 'any'} value={String(entry)} onText={onEntry} />
    case 'text':
      return <TextField {...common} type={field.schema.format === 'date' ? 'date' : 'text'} value={String(entry)} onText={onEntry} />
    case 'list':
      return <List {...props} />
    case 'object':
      return (
        <fieldset class="functions-group">
          <legend>{label}</legend>
          {hint && <p class="hint small soft">{hint}</p>}
          <Parts {...props} />
        </fieldset>
      )
    default:
      return <TextArea {...common} hint={hint ? `${hint} As JSON.` : 'As JSON.'} mono rows={3} spellcheck={false} value={String(entry)} onText={onEntry} />
  }
}

function List({ name, field, root, path, entry, wrong, onEntry }: PartProps) {
  const items = Array.isArray(entry) ? entry : []
  const item = itemOf(field, root)
  const change = (index: number, changed: Entry) => onEntry(items.map((one, at) => (at === index ? changed : one)))
  return (
    <fieldset class="functions-group">
      <legend>{field.isOptional ? `${name} (optional)` : name}</legend>
      {hintOf(field) && <p class="hint small soft">{hintOf(field)}</p>}
      {items.map((one, index) => (
        <div key={index} class="functions-item">
          <Part name={`${name} ${index + 1}`} field={item} root={root} path={`${path}[${index}]`} entry={one} wrong={wrong} onEntry={(changed) => change(index, changed)} />
          <IconButton little icon="trash" label={`Remove ${name} ${index + 1}`} onClick={() => onEntry(items.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Button little icon="plus" onClick={() => onEntry([...items, initial(item, root)])}>Add to {name}</Button>
    </fieldset>
  )
}

function optionsOf(field: Field) {
  const named = field.choices.map((one) => ({ value: JSON.stringify(one), label: String(one) }))
  return field.isOptional ? [{ value: '', label: '–' }, ...named] : named
}

function hintOf({ schema }: Field): string {
  const bounds = [
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
  ].filter(Boolean)
  return [schema.description, bounds.length ? `(${bounds.join(' ')})` : ''].filter(Boolean).join(' ')
}
