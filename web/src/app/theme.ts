// Light or dark: as the system has it, or as the person chose.

import { effect } from '@preact/signals'
import { preference } from './preferences'

export type Theme = 'system' | 'light' | 'dark'

export const theme = preference<Theme>('theme', 'system')

effect(() => {
  const root = document.documentElement
  if (theme.value === 'system') delete root.dataset.theme
  else root.dataset.theme = theme.value
})

export function isDark(): boolean {
  if (theme.value !== 'system') return theme.value === 'dark'
  return matchMedia('(prefers-color-scheme: dark)').matches
}
