// Buttons: with words, or an icon whose words are said to who cannot see it.

import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Icon, type IconName } from './icon'

type Attributes = Omit<JSX.IntrinsicElements['button'], 'icon' | 'label' | 'class' | 'ref'>

interface ButtonProps extends Attributes {
  tone?: 'plain' | 'primary' | 'quiet' | 'bad'
  icon?: IconName
  little?: boolean
  children?: ComponentChildren
}

export function Button({ tone = 'plain', icon, little, children, ...rest }: ButtonProps) {
  const classes = `button ${tone === 'bad' ? 'quiet bad' : tone}${little ? ' little' : ''}`
  return (
    <button type="button" {...rest} class={classes}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  )
}

interface IconButtonProps extends Attributes {
  icon: IconName
  label: string
  little?: boolean
  tone?: 'plain' | 'primary' | 'quiet'
}

export function IconButton({ icon, label, little, tone = 'quiet', ...rest }: IconButtonProps) {
  const classes = `button icon ${tone}${little ? ' little' : ''}`
  return (
    <button type="button" {...rest} class={classes} aria-label={label} title={label}>
      <Icon name={icon} />
    </button>
  )
}

/** Copies a text, and says so for a moment. */
export function CopyButton({ text, label = 'Copy' }: { text: () => string; label?: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = async () => {
    await copyText(text())
    setCopied(true)
    setTimeout(() => setCopied(false), 1500)
  }
  return <IconButton little icon={isCopied ? 'check' : 'copy'} label={isCopied ? 'Copied' : label} onClick={copy} />
}

/** Puts a text on the clipboard, also where the page came over plain HTTP. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}
