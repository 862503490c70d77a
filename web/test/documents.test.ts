import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sentencesOf } from '../src/views/documents/sentences'
import { cutAt, piecesOf } from '../src/views/documents/text'

test('places count characters, not halves of them', () => {
  assert.deepEqual(cutAt('a😀b😀c', 1, 4), ['a', '😀b😀', 'c'])
  assert.deepEqual(cutAt('abc', 2, 9), ['ab', 'c', ''])
  assert.deepEqual(cutAt('abc', 0, 0), ['', '', 'abc'])
})

test('words are found across pieces, whatever stands between them', () => {
  assert.deepEqual(piecesOf(['The ri', 'ver rose', ' ', 'over-', 'night.'], 'river rose overnight'), [0, 4])
  assert.deepEqual(piecesOf(['One.', 'Two.', 'Three.'], 'two.'), [1, 1])
  assert.equal(piecesOf(['One.'], 'four'), null)
  assert.equal(piecesOf(['One.'], ' '), null)
})

const span = (start: number, end: number) => ({ start, end })

test('each sentence has its citations, its verdict, and no marker', () => {
  const text = 'Rain fell [1]. It was cold.'
  const citation = { number: 1, marker: span(10, 13), document_id: 'd', span: span(0, 4), quote: 'q', sentence: span(0, 14), supported: true }
  const support = [{ place: span(0, 14), supported: true }, { place: span(15, 27), supported: false }]
  const [first, second] = sentencesOf(text, [citation], support)
  assert.equal(first?.text, 'Rain fell.')
  assert.equal(first?.gap, ' ')
  assert.deepEqual(first?.citations, [citation])
  assert.deepEqual([second?.text, second?.isSupported], ['It was cold.', false])
})

test('nothing of a text that was not judged is lost', () => {
  assert.deepEqual(sentencesOf('All of it.', [], []).map((one) => one.text), ['All of it.'])
})
