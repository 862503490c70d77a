// The pages of a PDF by pdf.js, with the words that are looked for marked. Loaded on demand.

import { getDocument, GlobalWorkerOptions, TextLayer, type PDFDocumentProxy, type PDFPageProxy } from 'pdfjs-dist'
import worker from 'pdfjs-dist/build/pdf.worker.min.mjs?url'
import { request } from '../../api/client'
import { piecesOf } from './text'

GlobalWorkerOptions.workerSrc = worker

/** Draws each page when it comes near; goes to the one with the words. Rejects for what is no PDF. */
export async function drawPdf(id: string, quote: string, page: number, frame: HTMLElement, signal: AbortSignal): Promise<void> {
  const content = await request(`/v1/files/${encodeURIComponent(id)}/content`, { signal })
  const loading = getDocument({ data: await content.arrayBuffer(), enableXfa: false })
  signal.addEventListener('abort', () => void loading.destroy())
  const pdf = await loading.promise
  const goal = await pageWith(pdf, quote, page)
  const first = (await pdf.getPage(1)).getViewport({ scale: 1 })
  const scale = Math.min(1.6, Math.max(0.5, (frame.clientWidth - 4) / first.width))
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) begin(target as HTMLElement)
  }, { root: frame, rootMargin: '600px' })
  const begin = (place: HTMLElement) => {
    watch.unobserve(place)
    const number = Number(place.dataset.page)
    void pdf.getPage(number).then((one) => draw(one, place, scale, number === goal ? quote : ''), () => undefined)
  }
  frame.replaceChildren()
  for (let number = 1; number <= pdf.numPages; number++) {
    const place = document.createElement('div')
    place.className = 'documents-page'
    place.dataset.page = String(number)
    place.style.width = `${first.width * scale}px`
    place.style.height = `${first.height * scale}px`
    frame.append(place)
    watch.observe(place)
  }
  frame.children[goal - 1]?.scrollIntoView({ block: 'start' })
  signal.addEventListener('abort', () => watch.disconnect())
}

async function textOf(page: PDFPageProxy): Promise<string[]> {
  const { items } = await page.getTextContent()
  return items.map((item) => ('str' in item ? item.str : ''))
}

/** The page whose text has the words: that which the server names, else the first that has them. */
async function pageWith(pdf: PDFDocumentProxy, quote: string, page: number): Promise<number> {
  if (page >= 1 && page <= pdf.numPages) return page
  for (let number = 1; quote && number <= Math.min(pdf.numPages, 500); number++) {
    if (piecesOf(await textOf(await pdf.getPage(number)), quote)) return number
  }
  return 1
}

async function draw(page: PDFPageProxy, place: HTMLElement, scale: number, quote: string): Promise<void> {
  const viewport = page.getViewport({ scale })
  place.style.width = `${viewport.width}px`
  place.style.height = `${viewport.height}px`
  const canvas = document.createElement('canvas')
  const density = Math.min(devicePixelRatio, 2)
  canvas.width = Math.floor(viewport.width * density)
  canvas.height = Math.floor(viewport.height * density)
  const layer = document.createElement('div')
  layer.className = 'textLayer'
  layer.style.setProperty('--total-scale-factor', String(scale))
  layer.style.setProperty('--scale-factor', String(scale))
  place.replaceChildren(canvas, layer)
  await page.render({ canvas, viewport: page.getViewport({ scale: scale * density }) }).promise
  const text = new TextLayer({ textContentSource: page.streamTextContent(), container: layer, viewport })
  await text.render()
  mark(text.textDivs, quote)
}

function mark(pieces: HTMLElement[], quote: string): void {
  const found = quote ? piecesOf(pieces.map((piece) => piece.textContent ?? ''), quote) : null
  if (!found) return
  for (const piece of pieces.slice(found[0], found[1] + 1)) piece.classList.add('documents-words')
  pieces[found[0]]?.scrollIntoView({ block: 'center' })
}
