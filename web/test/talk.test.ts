import assert from 'node:assert/strict'
import { test } from 'node:test'
import { take, textOf, type ResponseBody, type ResponseEvent, type Turn } from '../src/api/responses'
import { Blocks } from '../src/ui/markdown/blocks'
import { newestBelow, pathTo, siblingsOf } from '../src/views/talk/tree'

const body = (id: string, previous: string | null = null) => ({ id, previous_response_id: previous, output: [], status: 'completed' }) as unknown as ResponseBody
const turn = (id: string, previous: string | null = null): Turn => ({ input: [], response: body(id, previous) })

test('a branch is what leads to its leaf', () => {
  const turns = [turn('a'), turn('b', 'a'), turn('c', 'a'), turn('d', 'c'), turn('e')]
  assert.deepEqual(pathTo(turns, 'd').map((one) => one.response.id), ['a', 'c', 'd'])
  assert.deepEqual(siblingsOf(turns, turns[1] as Turn).map((one) => one.response.id), ['b', 'c'])
  assert.deepEqual(siblingsOf(turns, turns[0] as Turn).map((one) => one.response.id), ['a', 'e'])
  assert.equal(newestBelow(turns, 'a'), 'd')
  assert.deepEqual(pathTo(turns, null), [])
})

test('events make the response that they are of', () => {
  const response = body('a')
  const events = [
    { type: 'response.output_item.added', output_index: 0, item: { type: 'message', content: [] } },
    { type: 'response.content_part.added', output_index: 0, content_index: 0, part: { type: 'output_text', text: '', annotations: [] } },
    { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'Hel' },
    { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'lo' },
  ] as unknown as ResponseEvent[]
  for (const event of events) take(response, event)
  assert.equal(textOf(response.output[0]!), 'Hello')
})

const bare = (text: string) => text.replace(/\s/g, '')

test('closed blocks stay while a text grows, and make the text', () => {
  const text = '# One\n\nTwo *three*\n\n```py\na\n\nb\n```\n\n- four\n- five\n\nsix'
  const blocks = new Blocks()
  let before: string[] = []
  for (let length = 1; length <= text.length; length++) {
    const now = blocks.of(text.slice(0, length))
    assert.ok(bare(text).startsWith(bare(now.slice(0, -1).join(''))))
    assert.deepEqual(now.slice(0, before.length - 1), before.slice(0, -1))
    before = now
  }
  assert.equal(bare(before.join('')), bare(text))
  assert.deepEqual(blocks.of('other'), ['other'])
})
