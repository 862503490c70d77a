// A conversation as a file: Markdown to read, JSON to go on with.

import { textOf, type Turn } from '../../api/responses'

/** The turns as Markdown. Pure. */
export function asMarkdown(turns: Turn[]): string {
  return turns
    .map(({ input, response }) => {
      const asked = input.filter((item) => item.role === 'user').map(textOf).join('\n\n')
      const answered = response.output.filter((item) => item.type === 'message').map(textOf).join('\n\n')
      return `## You\n\n${asked}\n\n## ${response.model}\n\n${answered}\n`
    })
    .join('\n')
}

export function save(name: string, type: string, text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
