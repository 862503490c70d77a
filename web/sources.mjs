// The digest of all that the page is built from. tests/page/test_built.py computes the same.

import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const SOURCES = ['index.html', 'package.json', 'sources.mjs', 'src', 'tsconfig.json', 'vite.config.ts']

function filesBelow(root, path) {
  const entries = readdirSync(join(root, path), { withFileTypes: true })
  return entries.flatMap((entry) => {
    const below = `${path}/${entry.name}`
    return entry.isDirectory() ? filesBelow(root, below) : [below]
  })
}

/** Each file's path and content, in the order of the paths. */
export function digestOfSources(root) {
  const paths = SOURCES.flatMap((path) => (path === 'src' ? filesBelow(root, path) : [path]))
  const digest = createHash('sha256')
  for (const path of paths.sort()) {
    digest.update(`${path}\n`)
    digest.update(readFileSync(join(root, path)))
  }
  return digest.digest('hex')
}
