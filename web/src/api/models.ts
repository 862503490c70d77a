// The models of this server, read once and again on demand.

import { get } from './client'
import { source } from './load'

export interface Model {
  id: string
  [key: string]: unknown
}

export const models = source(async () => (await get<{ data: Model[] }>('/v1/models')).data)
