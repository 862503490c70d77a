// Server-sent events out of a body, as they come.

export interface ServerEvent {
  event: string
  data: string
}

/** The events of a body. Comments, ids and retry times are passed over. Closes the body at the end. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader()
  const parser = new EventParser()
  const decoder = new TextDecoder()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield* parser.feed(decoder.decode(value, { stream: true }))
    }
  } finally {
    void reader.cancel().catch(() => undefined)
  }
}

/** Events out of text that comes in pieces, cut anywhere. */
export class EventParser {
  private data: string[] = []
  private rest = ''
  private event = '';

  *feed(text: string): Generator<ServerEvent> {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/)
    this.rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') this.take(line)
      else if (this.data.length) yield this.finished()
    }
  }

  private take(line: string): void {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') this.event = value
    else if (name === 'data') this.data.push(value)
  }

  private finished(): ServerEvent {
    const found = { event: this.event || 'message', data: this.data.join('\n') }
    this.event = ''
    this.data = []
    return found
  }
}
