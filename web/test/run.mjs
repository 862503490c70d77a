// Runs the page's own tests: bundles each `*.test.ts` below src, then lets Node run them.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')
const tests = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'))
const output = mkdtempSync(join(tmpdir(), 'page-tests-'))
try {
  const bundle = await rolldown({
    input: tests.map((name) => join(root, 'test', name)),
    platform: 'node',
    external: [/^node:/],
  })
  await bundle.write({ dir: output, format: 'esm', entryFileNames: '[name].mjs' })
  await bundle.close()
  const files = tests.map((name) => join(output, name.replace(/\.ts$/, '.mjs')))
  const done = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' })
  process.exitCode = done.status ?? 1
} finally {
  rmSync(output, { recursive: true })
}
