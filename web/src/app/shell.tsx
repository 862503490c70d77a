// The frame around the views: where one can go, the look, and the key.

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { told } from '../api/client'
import { TryIt } from '../tryit/tryit'
import { Icon } from '../ui/icon'
import { Empty, Loading, Notice } from '../ui/states'
import { Toasts } from '../ui/toast'
import { VIEWS, type View } from '../views/views'
import mark from '../style/icon.svg'
import { Login } from './login'
import { place } from './router'
import { asked, forgetKey, key } from './session'
import { isDark, theme } from './theme'

export function Shell() {
  if (asked.value) return <Login wasRefused={asked.value.wasRefused} />
  return (
    <div class="frame">
      <a class="skip" href="#stage" onClick={skip}>Skip to the content</a>
      <Rail />
      <main class="stage" id="stage" tabIndex={-1}>
        <Stage />
      </main>
      <Toasts />
    </div>
  )
}

function skip(event: MouseEvent): void {
  event.preventDefault()
  document.getElementById('stage')?.focus()
}

function Rail() {
  const here = place.value.view
  return (
    <nav class="rail" aria-label="Views">
      <div class="rail-mark">
        <img src={mark} alt="llm_api" />
      </div>
      <ul>
        {VIEWS.map(({ path, title, icon }) => (
          <li key={path}>
            <a class="rail-item" href={`#/${path}`} aria-current={path === here ? 'page' : undefined}>
              <Icon name={icon} />
              {title}
            </a>
          </li>
        ))}
      </ul>
      <div class="rail-foot">
        <TryIt />
        <button type="button" class="rail-item" onClick={() => (theme.value = isDark() ? 'light' : 'dark')}>
          <Icon name={isDark() ? 'sun' : 'moon'} />
          {isDark() ? 'Light' : 'Dark'}
        </button>
        {key() && (
          <button type="button" class="rail-item" onClick={forgetKey}>
            <Icon name="out" />
            Leave
          </button>
        )}
      </div>
    </nav>
  )
}

const opened = new Map<string, ComponentType>()

function Stage() {
  const view = VIEWS.find(({ path }) => path === place.value.view)
  if (!view) {
    return (
      <Empty icon="search" title="There is no such view">
        <a href="#/talk">Go to Talk</a>
      </Empty>
    )
  }
  return <Opened key={view.path} view={view} />
}

function Opened({ view }: { view: View }) {
  const [Component, setComponent] = useState<ComponentType | undefined>(() => opened.get(view.path))
  const [failure, setFailure] = useState('')
  useEffect(() => {
    document.title = `${view.title} · llm_api`
    if (Component) return
    view.load().then(
      (module) => {
        opened.set(view.path, module.default)
        setComponent(() => module.default)
      },
      (error: unknown) => setFailure(`This view could not be loaded; reload the page. ${told(error)}`),
    )
  }, [])
  if (failure) return <div class="view"><Notice tone="bad">{failure}</Notice></div>
  return Component ? <Component /> : <div class="view"><Loading /></div>
}
