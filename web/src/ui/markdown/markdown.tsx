// Markdown of models and documents, sanitised. While more text comes, only the open block is drawn.

import { memo } from 'preact/compat'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { copyText } from '../button'
import { Blocks, htmlOf } from './blocks'
import { sanitised, sanitisedMath } from './sanitise'
import './markdown.css'

/** `isOpen` while more text is to come: then the last block is not yet coloured. */
export function Markdown({ text, isOpen = false }: { text: string; isOpen?: boolean }) {
  const blocks = useRef<Blocks | null>(null)
  blocks.current ??= new Blocks()
  const all = blocks.current.of(text)
  return (
    <div class="markdown" dir="auto">
      {all.map((block, index) => (
        <Block key={index} text={block} isClosed={!isOpen || index < all.length - 1} />
      ))}
    </div>
  )
}

const Block = memo(function Block({ text, isClosed }: { text: string; isClosed: boolean }) {
  const element = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const root = element.current
    if (!root) return
    root.innerHTML = sanitised(htmlOf(text))
    for (const code of root.querySelectorAll<HTMLElement>('pre > code')) dress(code)
    for (const table of root.querySelectorAll('table')) frame(table)
  }, [text])
  useLayoutEffect(() => {
    const root = element.current
    if (!root || !isClosed) return
    for (const code of root.querySelectorAll<HTMLElement>('pre > code')) void colour(code)
    void drawMath(root)
  }, [text, isClosed])
  return <div ref={element} class="block" dir="auto" />
})

/** A head for a block of code: its language, and a button that copies it. */
function dress(code: HTMLElement): void {
  const head = document.createElement('div')
  head.className = 'code-head'
  const name = document.createElement('span')
  name.textContent = languageOf(code) || 'text'
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = 'Copy'
  const source = code.textContent ?? ''
  button.addEventListener('click', () => {
    void copyText(source).then(() => {
      button.textContent = 'Copied'
      setTimeout(() => (button.textContent = 'Copy'), 1500)
    })
  })
  head.append(name, button)
  const pre = code.parentElement as HTMLElement
  pre.tabIndex = 0
  pre.dir = 'ltr'
  const frame = document.createElement('div')
  frame.className = 'code-block'
  pre.replaceWith(frame)
  frame.append(head, pre)
}

function languageOf(code: HTMLElement): string {
  return /language-(\S+)/.exec(code.className)?.[1]?.toLowerCase() ?? ''
}

async function colour(code: HTMLElement): Promise<void> {
  const language = languageOf(code)
  if (!language) return
  const { coloured } = await import('./code')
  const html = coloured(code.textContent ?? '', language)
  if (html !== null) code.innerHTML = sanitised(html)
}

function frame(table: HTMLTableElement): void {
  const around = document.createElement('div')
  around.className = 'table-scroll'
  around.tabIndex = 0
  around.setAttribute('role', 'group') // a landmark would need a name of its own
  around.setAttribute('aria-label', 'Table')
  table.replaceWith(around)
  around.append(table)
}

async function drawMath(root: HTMLElement): Promise<void> {
  const formulas = root.querySelectorAll<HTMLElement>('.math-inline, .math-block')
  if (!formulas.length) return
  const { mathml } = await import('./math')
  for (const formula of formulas) {
    const isBlock = formula.classList.contains('math-block')
    const drawn = document.createElement(isBlock ? 'div' : 'span')
    drawn.className = isBlock ? 'formula block-formula' : 'formula'
    drawn.innerHTML = sanitisedMath(mathml(formula.textContent ?? '', isBlock))
    formula.replaceWith(drawn)
  }
}
