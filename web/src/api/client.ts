// How the page speaks to the server: the public API, with the tab's key, and errors in one line.

import { askForKey, key } from '../app/session'
import { formOf, note } from '../tryit/done'
import { readEvents, type ServerEvent } from './sse'

export interface RequestOptions {
  method?: string
  json?: unknown
  body?: FormData | Blob
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** What the server answered instead: `message` says what to do. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null,
    /** Which parameter of the request is wrong, where it is one. */
    readonly param: string | null = null,
  ) {
    super(message)
  }
}

/** The answer to a request that succeeded. Asks for a key, and again, where the server wants one. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  for (;;) {
    const response = await send(path, options)
    if (response.ok) {
      note({ method: options.method ?? 'GET', path, json: options.json, ...(options.body instanceof FormData && { form: formOf(options.body) }) })
      return response
    }
    if (response.status !== 401) throw await errorOf(response)
    await askForKey()
  }
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const { json, body, signal } = options
  const init: RequestInit = { method: options.method ?? 'GET', headers: headersOf(options), cache: 'no-store' }
  if (json !== undefined || body !== undefined) init.body = json === undefined ? body : JSON.stringify(json)
  if (signal) init.signal = signal
  try {
    return await fetch(urlOf(path), init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError('The server does not answer. Check that it runs, then try again.', 0, 'unreachable')
  }
}

function headersOf({ json, headers }: RequestOptions): Record<string, string> {
  const own: Record<string, string> = json === undefined ? {} : { 'content-type': 'application/json' }
  const secret = key()
  if (secret) own.authorization = `Bearer ${secret}`
  return { ...own, ...headers }
}

/** Paths begin with `/`; the server may be below the path of a proxy. */
export function urlOf(path: string): string {
  return new URL(path.replace(/^\//, ''), document.baseURI).href
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text()
  try {
    const { error } = JSON.parse(text) as { error: { message: string; code?: string | null; param?: string | null } }
    return new ApiError(error.message, response.status, error.code ?? null, error.param ?? null)
  } catch {
    return new ApiError(`The server answered ${response.status} ${response.statusText}.`, response.status, null)
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {})
  return (await response.json()) as T
}

export async function post<T>(path: string, json: unknown = {}, signal?: AbortSignal): Promise<T> {
  const response = await request(path, { method: 'POST', json, ...(signal && { signal }) })
  return (await response.json()) as T
}

export async function remove<T>(path: string): Promise<T> {
  const response = await request(path, { method: 'DELETE' })
  return (await response.json()) as T
}

/** The events of a stream, until it ends or `signal` ends it. GET, or POST where `json` is given. */
export async function* stream(
  path: string,
  options: { json?: unknown; signal?: AbortSignal } = {},
): AsyncGenerator<ServerEvent> {
  const method = options.json === undefined ? 'GET' : 'POST'
  const response = await request(path, { ...options, method, headers: { accept: 'text/event-stream' } })
  if (response.body) yield* readEvents(response.body)
}

/** POST of a form that tells how much of it is sent, from 0 to 1. */
export function upload<T>(path: string, form: FormData, onProgress: (share: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest()
    sending.open('POST', urlOf(path))
    for (const [name, value] of Object.entries(headersOf({}))) sending.setRequestHeader(name, value)
    sending.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0)
    sending.onerror = () => reject(new ApiError('The server broke the upload off. Try again.', 0, 'unreachable'))
    sending.onload = () => {
      if (sending.status < 300) {
        note({ method: 'POST', path, form: formOf(form) })
        resolve(JSON.parse(sending.responseText) as T)
      } else if (sending.status === 401) askForKey().then(() => upload<T>(path, form, onProgress)).then(resolve, reject)
      else errorOf(new Response(sending.responseText, { status: sending.status })).then(reject)
    }
    sending.send(form)
  })
}

/** What went wrong, for a person. */
export function told(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
