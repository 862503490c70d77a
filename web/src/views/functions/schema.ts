// From a JSON Schema to a form and back: which field each part gets, and what was entered as JSON. Pure.

export interface Schema {
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  format?: string
  minimum?: number
  maximum?: number
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  $ref?: string
  $defs?: Record<string, Schema>
  definitions?: Record<string, Schema>
}

export type Kind = 'text' | 'number' | 'boolean' | 'choice' | 'list' | 'object' | 'json'

/** What a part of a form holds: a text as it was typed, parts of it, or nothing yet. */
export type Entry = string | boolean | Entry[] | { [name: string]: Entry }

export interface Field {
  kind: Kind
  schema: Schema
  isOptional: boolean
  isWhole: boolean
  choices: unknown[]
}

const DEEPEST = 6

/** The schema with its `$ref` followed, and of a value that may be null the other one. */
export function resolved(schema: Schema, root: Schema, depth = 0): { schema: Schema; mayBeNull: boolean } {
  if (depth > DEEPEST) return { schema: {}, mayBeNull: false }
  if (schema.$ref) {
    const { $ref, ...beside } = schema
    return resolved({ ...at(root, $ref), ...beside }, root, depth + 1)
  }
  const options = schema.anyOf ?? schema.oneOf
  if (options) {
    const others = options.filter((one) => one.type !== 'null')
    const { anyOf: _, oneOf: __, ...beside } = schema
    const [only] = others
    if (others.length === 1 && only) {
      const found = resolved({ ...only, ...beside }, root, depth + 1)
      return { schema: found.schema, mayBeNull: found.mayBeNull || others.length < options.length }
    }
    return { schema, mayBeNull: others.length < options.length }
  }
  if (schema.allOf?.length === 1) {
    const { allOf, ...beside } = schema
    return resolved({ ...allOf[0], ...beside }, root, depth + 1)
  }
  if (Array.isArray(schema.type)) {
    const others = schema.type.filter((type) => type !== 'null')
    if (others.length === 1) return { schema: { ...schema, type: others[0]! }, mayBeNull: others.length < schema.type.length }
  }
  return { schema, mayBeNull: false }
}

function at(root: Schema, ref: string): Schema {
  const steps = ref.replace(/^#\/?/, '').split('/').filter(Boolean)
  let found: unknown = root
  for (const step of steps) found = (found as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  return (found as Schema | undefined) ?? {}
}

/** Which field a part gets: what a form cannot hold is entered as JSON. */
export function fieldOf(given: Schema, root: Schema, isRequired: boolean, depth = 0): Field {
  const { schema, mayBeNull } = resolved(given, root)
  const choices = schema.const !== undefined ? [schema.const] : (schema.enum ?? []).filter((one) => one !== null)
  const base = { schema, isOptional: !isRequired || mayBeNull, isWhole: schema.type === 'integer', choices }
  return { ...base, kind: kindOf(schema, choices, depth) }
}

function kindOf(schema: Schema, choices: unknown[], depth: number): Kind {
  if (choices.length) return 'choice'
  if (schema.type === 'string') return 'text'
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  if (schema.type === 'boolean') return 'boolean'
  if (depth < DEEPEST && schema.type === 'array' && schema.items) return 'list'
  if (depth < DEEPEST && schema.type === 'object' && Object.keys(schema.properties ?? {}).length) return 'object'
  return 'json'
}

/** What a field begins with. */
export function initial(field: Field, root: Schema, depth = 0): Entry {
  const given = field.schema.default
  switch (field.kind) {
    case 'boolean':
      return given === true
    case 'list':
      return Array.isArray(given) ? given.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))) : []
    case 'object':
      return Object.fromEntries(partsOf(field.schema, root, depth + 1).map(([name, part]) => [name, initial(part, root, depth + 1)]))
    case 'choice':
      return given === undefined || given === null ? (field.isOptional ? '' : JSON.stringify(field.choices[0])) : JSON.stringify(given)
    case 'text':
      return typeof given === 'string' ? given : ''
    default:
      return given === undefined || given === null ? '' : JSON.stringify(given)
  }
}

/** The parts of an object, by name, in the schema's order. */
export function partsOf(schema: Schema, root: Schema, depth = 0): [string, Field][] {
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {}).map(([name, part]) => [name, fieldOf(part, root, required.has(name), depth)])
}

/** What was entered cannot be sent: where, and why. */
export class EntryError extends Error {
  constructor(
    readonly path: string,
    message: string,
  ) {
    super(message)
  }
}

/** What was entered, as JSON; undefined where an optional field is empty. Throws EntryError. */
export function valueOf(field: Field, entry: Entry, root: Schema, path = '', depth = 0): unknown {
  switch (field.kind) {
    case 'boolean':
      return entry === true
    case 'object':
      return objectOf(field, entry as Record<string, Entry>, root, path, depth)
    case 'list': {
      const item = itemOf(field, root, depth)
      const values = (entry as Entry[]).map((one, index) => valueOf(item, one, root, `${path}[${index}]`, depth + 1))
      return values.length || !field.isOptional ? values : undefined
    }
    default:
      return scalarOf(field, String(entry), path)
  }
}

export function itemOf(field: Field, root: Schema, depth = 0): Field {
  return fieldOf(field.schema.items ?? {}, root, true, depth + 1)
}

function objectOf(field: Field, entry: Record<string, Entry>, root: Schema, path: string, depth: number): unknown {
  const found: Record<string, unknown> = {}
  for (const [name, part] of partsOf(field.schema, root, depth + 1)) {
    const value = valueOf(part, entry[name] ?? '', root, path ? `${path}.${name}` : name, depth + 1)
    if (value !== undefined) found[name] = value
  }
  return field.isOptional && !Object.keys(found).length ? undefined : found
}

function scalarOf(field: Field, text: string, path: string): unknown {
  if (field.kind === 'text') return text === '' && field.isOptional ? undefined : text
  if (text.trim() === '') {
    if (field.isOptional) return undefined
    throw new EntryError(path, field.kind === 'number' ? 'A number is needed here.' : 'This is needed.')
  }
  if (field.kind === 'number') {
    const number = Number(text)
    if (!Number.isFinite(number)) throw new EntryError(path, 'This is no number.')
    if (field.isWhole && !Number.isInteger(number)) throw new EntryError(path, 'A whole number is needed here.')
    return number
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new EntryError(path, 'This is no JSON.')
  }
}
