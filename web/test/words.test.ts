import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ago, bytes, count, seconds } from '../src/ui/words'

test('numbers read as people say them', () => {
  assert.equal(bytes(999), '999 bytes')
  assert.equal(bytes(1_500_000), '1.5 MB')
  assert.equal(count(1, 'file'), '1 file')
  assert.equal(count(1200, 'file'), '1,200 files')
  assert.equal(seconds(0.25), '250 ms')
  assert.equal(seconds(75), '1 min 15 s')
  assert.equal(ago(1000, 1030), 'just now')
  assert.equal(ago(1000, 1000 + 7200), '2 h ago')
})
