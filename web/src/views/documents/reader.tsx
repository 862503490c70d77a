// A document, opened at the very words: its text, or the pages of a PDF.

import { useEffect, useRef, useState } from 'preact/hooks'
import { get, told } from '../../api/client'
import { Dialog } from '../../ui/dialog'
import { Loading, Notice } from '../../ui/states'
import { Tabs } from '../../ui/tabs'
import { isPdf } from './state'
import { cutAt } from './text'

interface Shown {
  id: string
  title: string
  text: string
  metadata: Record<string, unknown>
}

interface ReaderProps {
  collection: string
  id: string
  start: number
  end: number
  page: number
  onClose: () => void
}

export function Reader({ collection, id, start, end, page, onClose }: ReaderProps) {
  const [shown, setShown] = useState<Shown | null>(null)
  const [failure, setFailure] = useState('')
  const [way, setWay] = useState('pages')
  useEffect(() => {
    setShown(null)
    setFailure('')
    const path = id.split('/').map(encodeURIComponent).join('/')
    get<Shown>(`/v1/rag/documents/${path}?collection=${encodeURIComponent(collection)}`).then(setShown, (error: unknown) => setFailure(told(error)))
  }, [collection, id])
  const title = shown?.title || id
  const hasPages = id.startsWith('file-') && isPdf(title)
  const quote = shown && end > start ? cutAt(shown.text, start, end)[1] : ''
  return (
    <Dialog title={title} wide onClose={onClose}>
      {failure && <Notice tone="bad"><p>{failure}</p></Notice>}
      {!shown && !failure && <Loading what="Opening" />}
      {shown && hasPages && (
        <Tabs label="Shown as" tabs={[{ id: 'pages', label: 'Pages' }, { id: 'text', label: 'Text' }]} chosen={way} onChoose={setWay} />
      )}
      {shown && (hasPages && way === 'pages' ? <Pages key={id} id={id} quote={quote} page={page} /> : <Text text={shown.text} start={start} end={end} />)}
    </Dialog>
  )
}

function Text({ text, start, end }: { text: string; start: number; end: number }) {
  const mark = useRef<HTMLElement>(null)
  const [before, words, after] = cutAt(text, start, end)
  useEffect(() => mark.current?.scrollIntoView({ block: 'center' }), [text, start, end])
  return (
    <div class="documents-text" tabIndex={0} dir="auto" role="region" aria-label="Text of the document">
      {before}
      {words && <mark ref={mark}>{words}</mark>}
      {after}
    </div>
  )
}

function Pages({ id, quote, page }: { id: string; quote: string; page: number }) {
  const frame = useRef<HTMLDivElement>(null)
  const [state, setState] = useState('loading')
  useEffect(() => {
    const stop = new AbortController()
    import('./pdf').then(
      ({ drawPdf }) => drawPdf(id, quote, page, frame.current as HTMLDivElement, stop.signal).then(() => setState('there')),
    ).catch((error: unknown) => {
      if (!stop.signal.aborted) setState(`The pages cannot be shown; look at the text. ${told(error)}`)
    })
    return () => stop.abort()
  }, [id, quote, page])
  return (
    <>
      {state === 'loading' && <Loading what="Opening the pages" />}
      {state !== 'loading' && state !== 'there' && <Notice tone="bad"><p>{state}</p></Notice>}
      <div ref={frame} class="documents-pages" tabIndex={0} role="region" aria-label="Pages of the document" />
    </>
  )
}
