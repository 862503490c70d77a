// Fields of forms: a label, what is entered, a hint, and what is wrong with it.

import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface FieldProps {
  label: string
  hint?: string
  error?: string | null
}

/** What an entry may have besides; the rest of what elements take is not for forms. */
interface Own {
  type?: 'text' | 'password' | 'search' | 'number' | 'date' | 'url'
  name?: string
  placeholder?: string
  autocomplete?: string
  inputMode?: 'numeric' | 'decimal' | 'search' | 'url'
  autoFocus?: boolean
  required?: boolean
  disabled?: boolean
  min?: number | string
  max?: number | string
  step?: number | string
  rows?: number
  spellcheck?: boolean
  onKeyDown?: (event: KeyboardEvent) => void
}

interface Entry {
  value: string
  onText: (text: string) => void
  mono?: boolean
}

function Framed({ id, label, hint, error, children }: FieldProps & { id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && !error && <span class="hint" id={`${id}-hint`}>{hint}</span>}
      {error && <span class="error" id={`${id}-hint`}>{error}</span>}
    </div>
  )
}

function described(id: string, { hint, error }: Partial<FieldProps>) {
  return { id, 'aria-invalid': !!error, ...((hint || error) && { 'aria-describedby': `${id}-hint` }) }
}

export function TextField({ label, hint, error, value, onText, mono, ...rest }: FieldProps & Entry & Own) {
  const id = useId()
  return (
    <Framed id={id} label={label} hint={hint} error={error}>
      <input type="text" {...(rest as object)} {...described(id, { hint, error })} class={`input${mono ? ' mono' : ''}`} value={value} onInput={(event) => onText(event.currentTarget.value)} />
    </Framed>
  )
}

export function TextArea({ label, hint, error, value, onText, mono, ...rest }: FieldProps & Entry & Omit<Own, 'type'>) {
  const id = useId()
  return (
    <Framed id={id} label={label} hint={hint} error={error}>
      <textarea rows={4} dir="auto" {...rest} {...described(id, { hint, error })} class={`input${mono ? ' mono' : ''}`} value={value} onInput={(event) => onText(event.currentTarget.value)} />
    </Framed>
  )
}

export interface Option {
  value: string
  label: string
}

export function SelectField({ label, hint, error, value, onText, options, ...rest }: FieldProps & Entry & { options: Option[] } & Pick<Own, 'name' | 'disabled' | 'required'>) {
  const id = useId()
  return (
    <Framed id={id} label={label} hint={hint} error={error}>
      <select {...(rest as object)} {...described(id, { hint, error })} class="input" value={value} onChange={(event) => onText(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value} selected={option.value === value}>
            {option.label}
          </option>
        ))}
      </select>
    </Framed>
  )
}

export function CheckField({ label, isOn, onChange, ...rest }: { label: string; isOn: boolean; onChange: (isOn: boolean) => void } & Pick<Own, 'name' | 'disabled'>) {
  return (
    <label class="check">
      <input {...rest} type="checkbox" checked={isOn} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  )
}
