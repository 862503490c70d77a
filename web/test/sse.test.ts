import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventParser } from '../src/api/sse'

const STREAM = ': hello\n\nevent: a\ndata: one\ndata: two\n\ndata:{"x":1}\r\n\r\nevent: cut\ndata: never'

function read(pieces: string[]) {
  const parser = new EventParser()
  return pieces.flatMap((piece) => [...parser.feed(piece)])
}

test('events are the same wherever the text is cut', () => {
  const whole = read([STREAM])
  assert.deepEqual(whole, [
    { event: 'a', data: 'one\ntwo' },
    { event: 'message', data: '{"x":1}' },
  ])
  for (let cut = 1; cut < STREAM.length; cut++) {
    assert.deepEqual(read([STREAM.slice(0, cut), STREAM.slice(cut)]), whole, `cut at ${cut}`)
  }
})
