// What who has given no key sees, and nothing else.

import { useState } from 'preact/hooks'
import { Button } from '../ui/button'
import { TextField } from '../ui/field'
import mark from '../style/icon.svg'
import { giveKey } from './session'

export function Login({ wasRefused }: { wasRefused: boolean }) {
  const [text, setText] = useState('')
  const enter = (event: Event) => {
    event.preventDefault()
    if (text.trim()) giveKey(text.trim())
  }
  return (
    <main class="login">
      <form onSubmit={enter}>
        <img src={mark} alt="" />
        <h1>This server asks for a key</h1>
        <TextField
          label="API key"
          type="password"
          autocomplete="off"
          autoFocus
          value={text}
          onText={setText}
          error={wasRefused ? 'This key is not accepted. Check it, or ask who runs the server.' : null}
          hint="It stays in this tab, and is forgotten when the tab is closed."
        />
        <Button tone="primary" type="submit">Continue</Button>
      </form>
    </main>
  )
}
