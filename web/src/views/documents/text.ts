// Places in texts: the server counts characters, JavaScript halves of some of them. Pure.

/** Where the character number `place` of a text begins for JavaScript. */
export function offsetOf(text: string, place: number): number {
  let offset = 0
  for (let counted = 0; counted < place && offset < text.length; counted++) {
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1
  }
  return offset
}

/** What stands before the characters `start` to `end`, they themselves, and what stands after. */
export function cutAt(text: string, start: number, end: number): [string, string, string] {
  const from = offsetOf(text, start)
  const to = from + offsetOf(text.slice(from), Math.max(0, end - start))
  return [text.slice(0, from), text.slice(from, to), text.slice(to)]
}

/** Which of the pieces of a text, one after the other, hold words of `quote`: spaces do not count. */
export function piecesOf(pieces: string[], quote: string): [number, number] | null {
  const bare = (text: string) => text.replace(/[\s\u00ad-]+/g, '').toLowerCase()
  const wanted = bare(quote)
  const bares = pieces.map(bare)
  const place = wanted ? bares.join('').indexOf(wanted) : -1
  if (place < 0) return null
  let length = 0
  let first = -1
  for (const [index, piece] of bares.entries()) {
    length += piece.length
    if (first < 0 && length > place) first = index
    if (length >= place + wanted.length) return [first, index]
  }
  return null
}
