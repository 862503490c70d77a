// How the page is built: relative paths, hashed names, nothing inlined, the same bytes each time.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vite'
// @ts-expect-error: plain JavaScript, so that it needs no build
import { digestOfSources } from './sources.mjs'

const BUILT = join(import.meta.dirname, '../llm_api/api/page')

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [
    {
      name: 'says-what-it-was-built-from',
      writeBundle() {
        writeFileSync(join(BUILT, 'sources.sha256'), `${digestOfSources(import.meta.dirname)}\n`)
      },
    },
  ],
  build: {
    outDir: BUILT,
    emptyOutDir: true,
    assetsInlineLimit: 0, // the Content-Security-Policy wants files
    chunkSizeWarningLimit: 4000,
    target: 'es2022',
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
  },
})
