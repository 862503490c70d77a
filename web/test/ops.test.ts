import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kindOf, sorted } from '../src/tryit/done'
import { pythonValue, quoted, snippet } from '../src/tryit/snippets'
import { niceTop, pathOf } from '../src/ui/chart'
import { EMPTY, after, bodyOf, figuresOf } from '../src/views/compare/race'
import { batchSizes, draftWords, ended, lately, scaleOf, slotWords } from '../src/views/engine/snapshot'
import { barsOf, byModel, limitsOf, type UsageDay } from '../src/views/keys/keys'

test('texts are quoted for a shell and for Python', () => {
  assert.equal(quoted(`it's "$HOME"`), `'it'\\''s "$HOME"'`)
  assert.equal(pythonValue({ a: [true, null, 1.5, 'x"\n'] }), '{\n    "a": [\n        True,\n        None,\n        1.5,\n        "x\\"\\n",\n    ],\n}')
})

test('no snippet holds a key, and each names the server', () => {
  const done = { method: 'POST', path: '/v1/chat/completions', json: { model: 'm', messages: [], min_p: 0.1 } }
  for (const language of ['curl', 'python', 'javascript'] as const) {
    const text = snippet(language, done, 'http://host:1')
    assert.match(text, /API_KEY/)
    assert.match(text, /http:\/\/host:1/)
  }
  assert.match(snippet('python', done, 'http://host:1'), /extra_body=\{\n {8}"min_p": 0.1/)
})

test('requests that differ in an id are of one kind, and deeds come first', () => {
  const one = { method: 'GET', path: '/v1/responses/resp_0123' }
  const other = { method: 'GET', path: '/v1/responses/resp_4567?x=1' }
  assert.equal(kindOf(one), kindOf(other))
  const deed = { method: 'POST', path: '/v1/keys' }
  assert.deepEqual(sorted([one, deed]), [deed, one])
})

test('a chart ends at a round number, and its path at the right', () => {
  assert.deepEqual([1, 3, 12, 60, 2000].map(niceTop), [1, 5, 20, 100, 2000])
  assert.equal(pathOf([0, 10], 10), 'M0.0,120.0L600.0,0.0')
})

test('guesses are told in words, and not at all where there were none', () => {
  const lookup = { kind: 'lookup' as const, drafted: 0, accepted: 0, is_on: true }
  assert.equal(draftWords([lookup]), '')
  const model = { kind: 'model' as const, drafted: 40, accepted: 30, is_on: false }
  assert.equal(
    draftWords([{ ...lookup, drafted: 8, accepted: 2 }, model]),
    'by lookup 8 tokens, 25 % right; by the draft model 40 tokens, 75 % right (not at present)',
  )
})

test('slots are told in words and share one scale', () => {
  const slot = { index: 2, state: 'writing' as const, request: 'r', runs: [{ kind: 'shared' as const, tokens: 120 }, { kind: 'answer' as const, tokens: 30 }] }
  assert.equal(slotWords(slot), 'Slot 2, writing: shared prefix 120, answer 30 tokens')
  assert.equal(scaleOf([slot], 4096), 256)
  assert.equal(scaleOf([], 64), 64)
})

test('the running second is in no chart', () => {
  assert.deepEqual(ended([4, 6, 1]), [4, 6])
  assert.equal(lately([9, 1, 2, 3]), 2)
  assert.deepEqual(batchSizes({ read_tokens: [], written_tokens: [], steps: [2, 0, 1], sequences: [6, 0, 1] }), [3, 0])
})

test('usage is a bar for each day, and a sum for each model', () => {
  const row: UsageDay = { date: '2026-01-31', key: 'a', model: 'm', kind: 'generate', requests: 1, prompt_tokens: 10, completion_tokens: 5, cached_tokens: 4 }
  const bars = barsOf([row, { ...row, model: 'n' }], new Date('2026-01-31T12:00:00Z'), 2)
  assert.deepEqual(bars.map(({ date }) => date), ['2026-01-30', '2026-01-31'])
  assert.deepEqual(bars[1]?.parts.map(({ value }) => value), [10, 12, 8])
  assert.deepEqual(byModel([row, row, { ...row, model: 'n', completion_tokens: 99 }]).map(({ model, requests }) => [model, requests]), [['n', 1], ['m', 2]])
})

test('limits are whole numbers above 0, or the default', () => {
  const texts = { requests_per_minute: '', tokens_per_minute: ' 9 ', tokens_per_day: '', concurrency: '' }
  assert.deepEqual(limitsOf(texts), { requests_per_minute: null, tokens_per_minute: 9, tokens_per_day: null, concurrency: null })
  for (const bad of ['0', '-1', '1.5', 'x']) assert.equal(limitsOf({ ...texts, concurrency: bad }), null)
})

test('a lane tells its first word and its speed', () => {
  assert.deepEqual(bodyOf('Hi', { model: 'm', system: '', temperature: '', maxTokens: '9' }).messages, [{ role: 'user', content: 'Hi' }])
  let lane = after({ ...EMPTY, state: 'running', began: 1000 }, { choices: [{ delta: { content: 'a' } }] }, 1500)
  lane = after(lane, { choices: [], usage: { prompt_tokens: 5, completion_tokens: 11 } }, 2400)
  const figures = figuresOf({ ...lane, state: 'done', ended: 2500 }, 9999)
  assert.deepEqual(figures, { firstWordSeconds: 0.5, tokens: 11, tokensPerSecond: 10, wholeSeconds: 1.5 })
})
