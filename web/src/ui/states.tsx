// What a view shows while it loads, when it failed, and when there is nothing yet.

import type { ComponentChildren } from 'preact'
import type { Source } from '../api/load'
import { Button } from './button'
import { Icon, type IconName } from './icon'

export function Spinner() {
  return <span class="spinner" aria-hidden="true" />
}

export function Loading({ what = 'Loading' }: { what?: string }) {
  return (
    <div class="loading" role="status">
      <Spinner /> {what}…
    </div>
  )
}

export function Notice({ tone, children }: { tone?: 'bad' | 'warn'; children: ComponentChildren }) {
  return (
    <div class={`notice ${tone ?? ''}`} role={tone === 'bad' ? 'alert' : undefined}>
      {tone && <Icon name="alert" />}
      <div class="notice-text">{children}</div>
    </div>
  )
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** A source's value, or what there is to say in its place. */
export function Shown<T>({ of, children, what }: { of: Source<T>; children: (value: T) => ComponentChildren; what?: string }) {
  const now = of.now.value
  if (now.state === 'loading') return <Loading what={what} />
  if (now.state === 'there') return <>{children(now.value)}</>
  if (now.status === 403) {
    return (
      <Empty icon="keys" title="This key may not see that">
        <p>{now.why}</p>
      </Empty>
    )
  }
  return (
    <Notice tone="bad">
      <p>{now.why}</p>
      <Button little icon="again" onClick={() => void of.refresh()}>Try again</Button>
    </Notice>
  )
}
