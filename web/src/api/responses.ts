// Responses as the server stores them, and the events of one that is being made.

export interface Span {
  start: number
  end: number
}

export interface Citation {
  index: number
  filename: string
  document_id: string
  vector_store_id: string
  number: number
  span: Span
  quote: string
  score: number
  supported: boolean
}

export interface Part {
  type: string
  text?: string
  annotations?: Citation[]
  file_id?: string
  filename?: string
}

/** An item of an input or of an output; which fields it has, its type says. */
export interface Item {
  type: string
  id?: string
  role?: string
  status?: string
  content?: Part[]
  summary?: Part[]
  name?: string
  server_label?: string
  arguments?: string
  input?: string
  output?: unknown
  error?: { content?: { text?: string }[] } | string | null
  queries?: string[]
  results?: { filename: string; text: string; score: number; document_id: string; vector_store_id: string; span: Span }[] | null
}

export interface Usage {
  input_tokens: number
  input_tokens_details: { cached_tokens: number }
  output_tokens: number
  output_tokens_details: { reasoning_tokens: number }
}

export interface ResponseBody {
  id: string
  status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled'
  created_at: number
  completed_at: number | null
  model: string
  instructions: string | null
  previous_response_id: string | null
  output: Item[]
  usage: Usage | null
  error: { message: string } | null
  incomplete_details: { reason: string } | null
  metadata: Record<string, string>
}

export interface ResponseEvent {
  type: string
  sequence_number: number
  response?: ResponseBody
  output_index?: number
  content_index?: number
  summary_index?: number
  item?: Item
  part?: Part
  delta?: string
  text?: string
  arguments?: string
  annotation?: Citation
  message?: string
  prompt_progress?: Progress
}

export interface Progress {
  total: number
  cache: number
  processed: number
  place_in_queue: number
  tokens_per_second: number | null
  seconds_left: number | null
}

export interface Turn {
  input: Item[]
  response: ResponseBody
}

export function hasEnded(response: ResponseBody): boolean {
  return response.status !== 'queued' && response.status !== 'in_progress'
}

/** Brings an event into the response that it belongs to. Mutates `response`. */
export function take(response: ResponseBody, event: ResponseEvent): void {
  if (event.response) Object.assign(response, event.response, { output: event.response.output.length ? event.response.output : response.output })
  const index = event.output_index
  if (index === undefined) return
  if (event.item) response.output[index] = event.item
  const item = response.output[index]
  if (item) takeInItem(item, event)
}

function takeInItem(item: Item, event: ResponseEvent): void {
  const delta = event.delta ?? ''
  switch (event.type) {
    case 'response.content_part.added':
      place(item, 'content', event.content_index ?? 0, event.part)
      break
    case 'response.reasoning_summary_part.added':
      place(item, 'summary', event.summary_index ?? 0, event.part)
      break
    case 'response.output_text.delta':
    case 'response.reasoning_text.delta':
      grow(place(item, 'content', event.content_index ?? 0), delta)
      break
    case 'response.reasoning_summary_text.delta':
      grow(place(item, 'summary', event.summary_index ?? 0), delta)
      break
    case 'response.output_text.annotation.added':
      if (event.annotation) (place(item, 'content', event.content_index ?? 0).annotations ??= []).push(event.annotation)
      break
    case 'response.function_call_arguments.delta':
    case 'response.mcp_call_arguments.delta':
      item.arguments = (item.arguments ?? '') + delta
      break
    case 'response.custom_tool_call_input.delta':
      item.input = (item.input ?? '') + delta
  }
}

function place(item: Item, where: 'content' | 'summary', index: number, part?: Part): Part {
  const parts = (item[where] ??= [])
  if (part) parts[index] = { ...part }
  return (parts[index] ??= { type: 'text', text: '' })
}

function grow(part: Part, delta: string): void {
  part.text = (part.text ?? '') + delta
}

/** What an item says, its parts one after the other. */
export function textOf(item: Item): string {
  return (item.content ?? []).map((part) => part.text ?? '').join('\n\n')
}
