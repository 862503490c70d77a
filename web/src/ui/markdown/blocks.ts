// Markdown as blocks: what is closed does not change any more while more text comes.

import { Marked, type Tokens, type TokenizerAndRendererExtension } from 'marked'

const MATH_BLOCK = /^ {0,3}(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/
const MATH_INLINE = /^(?:\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<![\s\\])\$(?![\d$])|\\\((.+?)\\\))/

const mathBlock: TokenizerAndRendererExtension = {
  name: 'mathBlock',
  level: 'block',
  start: (text) => text.match(/(?:^|\n) {0,3}(?:\$\$|\\\[)/)?.index,
  tokenizer(text) {
    const found = MATH_BLOCK.exec(text)
    return found ? { type: 'mathBlock', raw: found[0], tex: found[1] ?? found[2] ?? '' } : undefined
  },
  renderer: (token) => `<pre class="math-block">${escaped(String(token.tex).trim())}</pre>`,
}

const mathInline: TokenizerAndRendererExtension = {
  name: 'mathInline',
  level: 'inline',
  start: (text) => text.match(/\$|\\\(/)?.index,
  tokenizer(text) {
    const found = MATH_INLINE.exec(text)
    return found ? { type: 'mathInline', raw: found[0], tex: found[1] ?? found[2] ?? '' } : undefined
  },
  renderer: (token) => `<code class="math-inline">${escaped(String(token.tex))}</code>`,
}

const marked = new Marked({
  gfm: true,
  extensions: [mathBlock, mathInline],
  renderer: {
    image: ({ text, href }: Tokens.Image) => `<a class="image-left-out" href="${escaped(href)}">${escaped(text || 'picture')}</a>`,
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
})

export function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
}

/** HTML of one block; not yet sanitised. Pure. */
export function htmlOf(block: string): string {
  return marked.parse(block, { async: false })
}

/** Splits a text that only grows into blocks: all but the last are closed. */
export class Blocks {
  private closed: string[] = []
  private length = 0

  /** The blocks of `text`, which begins with what was given before; else everything anew. */
  of(text: string): string[] {
    if (text.length < this.length || !text.startsWith(this.closed.at(-1) ?? '', this.length - (this.closed.at(-1)?.length ?? 0))) {
      this.closed = []
      this.length = 0
    }
    const open = marked.lexer(text.slice(this.length)).map((token) => token.raw)
    while (open.length > 1 && text.startsWith(open[0] as string, this.length)) {
      const block = open.shift() as string
      this.length += block.length
      this.closed.push(block)
    }
    return [...this.closed, ...open].filter((block) => block.trim())
  }
}
