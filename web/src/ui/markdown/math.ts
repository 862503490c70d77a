// Formulas, as MathML: the browser draws it, so it needs no fonts and no styles of its own.

import katex from 'katex'

export function mathml(tex: string, isBlock: boolean): string {
  return katex.renderToString(tex, { displayMode: isBlock, output: 'mathml', throwOnError: false, trust: false, maxExpand: 200, maxSize: 20 })
}
