// Short news at the edge of the page, read aloud politely. Errors stay until they are closed.

import { signal } from '@preact/signals'
import { told } from '../api/client'
import { IconButton } from './button'

interface Toast {
  id: number
  text: string
  isBad: boolean
}

const toasts = signal<Toast[]>([])
let count = 0

function add(text: string, isBad: boolean): number {
  const id = ++count
  toasts.value = [...toasts.value.slice(-3), { id, text, isBad }]
  return id
}

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}

export function say(text: string): void {
  const id = add(text, false)
  setTimeout(() => close(id), 5000)
}

export function sayFailed(error: unknown): void {
  add(told(error), true)
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, isBad }) => (
        <div key={id} class={`toast${isBad ? ' bad' : ''}`}>
          <p dir="auto">{text}</p>
          <IconButton little icon="close" label="Close" onClick={() => close(id)} />
        </div>
      ))}
    </div>
  )
}
