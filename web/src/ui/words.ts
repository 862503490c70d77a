// Numbers and times as people read them. Pure.

export function bytes(count: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let size = count
  let unit = 0
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000
    unit += 1
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}

export function seconds(number: number): string {
  if (number < 1) return `${Math.round(number * 1000)} ms`
  if (number < 60) return `${number.toFixed(1)} s`
  return `${Math.floor(number / 60)} min ${Math.round(number % 60)} s`
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

/** `then` and `now` in seconds since 1970. */
export function ago(then: number, now = Date.now() / 1000): string {
  const passed = Math.max(0, now - then)
  if (passed < 60) return 'just now'
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`
  if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`
  if (passed < 7 * 86400) return count(Math.floor(passed / 86400), 'day') + ' ago'
  return new Date(then * 1000).toLocaleDateString('en', { year: 'numeric', month: 'short', day: 'numeric' })
}
