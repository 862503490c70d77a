import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntryError, fieldOf, initial, partsOf, valueOf, type Schema } from '../src/views/functions/schema'

const SCHEMA: Schema = {
  type: 'object',
  required: ['city', 'days', 'unit', 'stops'],
  $defs: { Stop: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, minutes: { type: 'integer' } } } },
  properties: {
    city: { type: 'string' },
    days: { type: 'integer', default: 3 },
    unit: { enum: ['c', 'f'] },
    loud: { type: 'boolean' },
    near: { anyOf: [{ type: 'number' }, { type: 'null' }], default: null },
    stops: { type: 'array', items: { $ref: '#/$defs/Stop' } },
    extra: { type: 'object' },
  },
}

const whole = fieldOf(SCHEMA, SCHEMA, true)

test('each part of a schema gets its field', () => {
  const kinds = partsOf(SCHEMA, SCHEMA).map(([name, field]) => [name, field.kind, field.isOptional])
  assert.deepEqual(kinds, [
    ['city', 'text', false],
    ['days', 'number', false],
    ['unit', 'choice', false],
    ['loud', 'boolean', true],
    ['near', 'number', true],
    ['stops', 'list', false],
    ['extra', 'json', true],
  ])
})

test('a form begins with the defaults and gives what was entered', () => {
  const begun = initial(whole, SCHEMA) as Record<string, never>
  assert.deepEqual(begun, { city: '', days: '3', unit: '"c"', loud: false, near: '', stops: [], extra: '' })
  const entry = { ...begun, city: 'Ulm', near: '1.5', stops: [{ name: 'Linz', minutes: '' }], extra: '{"a": 1}' }
  const sent = { city: 'Ulm', days: 3, unit: 'c', loud: false, near: 1.5, stops: [{ name: 'Linz' }], extra: { a: 1 } }
  assert.deepEqual(valueOf(whole, entry, SCHEMA), sent)
})

test('what cannot be sent is told with its place', () => {
  const begun = initial(whole, SCHEMA) as Record<string, never>
  const entry = { ...begun, stops: [{ name: 'a', minutes: '1.5' }] }
  assert.throws(() => valueOf(whole, entry, SCHEMA), (error: EntryError) => error.path === 'stops[0].minutes')
  assert.throws(() => valueOf(whole, { ...begun, days: '' }, SCHEMA), (error: EntryError) => error.path === 'days')
  assert.throws(() => valueOf(whole, { ...begun, extra: '{' }, SCHEMA), (error: EntryError) => error.path === 'extra')
})

test('a schema that refers to itself ends', () => {
  const tree: Schema = { type: 'object', properties: { child: { $ref: '#' }, loop: { $ref: '#/properties/loop' } } }
  assert.ok(initial(fieldOf(tree, tree, true), tree))
})
