// The views of the page: a new one is a folder beside this file and an entry in `VIEWS`.

import type { ComponentType } from 'preact'
import type { IconName } from '../ui/icon'

export interface View {
  /** What the address begins with: `#/talk`. */
  path: string
  title: string
  icon: IconName
  /** Loaded when it is first looked at; its default export is the component. */
  load: () => Promise<{ default: ComponentType }>
}

export const VIEWS: View[] = [
  { path: 'talk', title: 'Talk', icon: 'talk', load: () => import('./talk/view') },
  { path: 'documents', title: 'Documents', icon: 'documents', load: () => import('./documents/view') },
  { path: 'engine', title: 'Engine', icon: 'engine', load: () => import('./engine/view') },
  { path: 'functions', title: 'Functions', icon: 'functions', load: () => import('./functions/view') },
  { path: 'compare', title: 'Compare', icon: 'compare', load: () => import('./compare/view') },
  { path: 'keys', title: 'Keys', icon: 'keys', load: () => import('./keys/view') },
]
