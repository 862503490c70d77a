// The turns of the branch that is looked at: drawn from the newest on, earlier ones while idle.

import { memo } from 'preact/compat'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { textOf, type Item, type Turn } from '../../api/responses'
import { Button, CopyButton, IconButton } from '../../ui/button'
import { Icon } from '../../ui/icon'
import { Notice, Spinner } from '../../ui/states'
import { Answer, Branches } from './answer'
import { ask, asking, leaf, question, turns } from './state'
import { pathTo, previousOf, siblingsOf } from './tree'

const AT_FIRST = 12
const AT_ONCE = 24

export function Conversation() {
  const frame = useRef<HTMLDivElement>(null)
  const path = pathTo(turns.value, leaf.value)
  const [shown, setShown] = useState(AT_FIRST)
  const isAtEnd = useRef(true)
  const lastTop = useRef(0)

  useEffect(() => setShown(AT_FIRST), [path[0]?.response.id])
  useEffect(() => {
    if (shown >= path.length) return
    const id = setTimeout(() => setShown((now) => now + AT_ONCE), 30)
    return () => clearTimeout(id)
  }, [shown, path.length])
  useLayoutEffect(() => {
    isAtEnd.current = true
    const element = frame.current
    if (!element?.firstElementChild) return
    const toTheEnd = () => {
      if (isAtEnd.current) element.scrollTop = element.scrollHeight
    }
    toTheEnd()
    const watch = new ResizeObserver(toTheEnd)
    watch.observe(element.firstElementChild)
    return () => watch.disconnect()
  }, [leaf.value, asking.value])
  const onScroll = () => {
    const element = frame.current
    if (!element) return
    const isNear = element.scrollHeight - element.scrollTop - element.clientHeight < 60
    // Who scrolls back wants to read; what grows meanwhile does not carry them away.
    if (isNear || element.scrollTop < lastTop.current) isAtEnd.current = isNear
    lastTop.current = element.scrollTop
  }
  const waiting = asking.value
  return (
    <div class="talk-scroll" ref={frame} onScroll={onScroll} tabIndex={0} role="log" aria-live="polite" aria-label="Conversation">
      <div class="talk-turns">
        {path.slice(-shown).map((turn) => (
          <section key={turn.response.id} class="talk-turn">
            <Question turn={turn} />
            <Answer turn={turn} />
          </section>
        ))}
        {waiting && (
          <section class="talk-turn">
            <Said items={waiting.input} />
            {waiting.problem ? (
              <Notice tone="bad">
                <p>{waiting.problem}</p>
                <Button little icon="again" onClick={() => void ask(waiting.input, waiting.previous)}>Send again</Button>
              </Notice>
            ) : (
              <p class="soft"><Spinner /> Sending</p>
            )}
          </section>
        )}
      </div>
    </div>
  )
}

const Question = memo(function Question({ turn }: { turn: Turn }) {
  const [isEdited, setEdited] = useState(false)
  if (isEdited) return <Edited turn={turn} onDone={() => setEdited(false)} />
  const hasEarlier = siblingsOf(turns.value, turn).length > 1
  return (
    <div class="talk-question">
      <Said items={turn.input} />
      <div class="talk-question-foot">
        <CopyButton label="Copy the question" text={() => turn.input.map(textOf).join('\n\n')} />
        <IconButton little icon="edit" label="Ask it in other words" onClick={() => setEdited(true)} />
        {hasEarlier && <Branches turn={turn} />}
      </div>
    </div>
  )
})

function Edited({ turn, onDone }: { turn: Turn; onDone: () => void }) {
  const said = turn.input.filter((item) => item.role === 'user')
  const [text, setText] = useState(said.map(textOf).join('\n\n').trim())
  const files = said.flatMap((item) => item.content ?? []).filter((part) => part.file_id)
  const send = (event: Event) => {
    event.preventDefault()
    onDone()
    void ask(question(text, files.map((part) => ({ id: part.file_id ?? '', name: part.filename ?? '' }))), previousOf(turn))
  }
  return (
    <form class="talk-edit" onSubmit={send}>
      <textarea class="input" aria-label="The question in other words" dir="auto" rows={4} value={text} autoFocus onInput={(event) => setText(event.currentTarget.value)} />
      <div class="row end">
        <Button onClick={onDone}>Cancel</Button>
        <Button tone="primary" type="submit" disabled={!text.trim()}>Ask</Button>
      </div>
    </form>
  )
}

function Said({ items }: { items: Item[] }) {
  return (
    <div class="talk-said" dir="auto">
      {items.flatMap((item) => item.content ?? []).map((part, index) =>
        part.file_id ? (
          <span key={index} class="badge"><Icon name="clip" /> <span dir="auto">{part.filename || part.file_id}</span></span>
        ) : (
          <p key={index} dir="auto">{part.text}</p>
        ),
      )}
    </div>
  )
}
