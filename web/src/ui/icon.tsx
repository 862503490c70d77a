// Icons: strokes on a grid of 24. Decoration: what they mean is said in words beside them.

const PATHS = {
  talk: 'M4 5h16v11H9l-5 4z',
  documents: 'M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6',
  engine: 'M4 18V9M9 18V5M14 18v-6M19 18V8M3 21h18',
  functions: 'M9 4c-3 0-2 4-2 6 0 1-1 2-3 2 2 0 3 1 3 2 0 2-1 6 2 6M15 4c3 0 2 4 2 6 0 1 1 2 3 2-2 0-3 1-3 2 0 2 1 6-2 6',
  keys: 'M14.5 9.5a4 4 0 1 0-4 4l1-.2L13 15h2v2h2v2h3v-3l-5.7-5.5z',
  compare: 'M4 4h7v16H4zM13 4h7v16h-7z',
  code: 'M8 7l-5 5 5 5M16 7l5 5-5 5',
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M8 8h8v8H8zM9.500 9.500h5v5h-5zM11 11h2v2h-2z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  again: 'M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L20 20',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M13 4.5v5M9 14.5v5',
  clip: 'M19 11l-7.5 7.5a4 4 0 0 1-6-6L13 5a3 3 0 0 1 4.5 4L10 16.500a1.500 1.500 0 0 1-2-2L14 8.500',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
  down: 'M6 10l6 6 6-6',
  menu: 'M4 7h16M4 12h16M4 17h16',
  save: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  folder: 'M3 6h6l2 2h10v11H3z',
  alert: 'M12 4l9 16H3zM12 10v4M12 17.200v.1',
  moon: 'M19 14.500A7.500 7.500 0 0 1 9.500 5 7.500 7.500 0 1 0 19 14.500z',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1 1M17.400 17.400l1 1M5.600 18.400l1-1M17.400 6.600l1-1',
  out: 'M10 5H5v14h5M14 8l4 4-4 4M18 12H9',
  play: 'M8 5l11 7-11 7z',
  model: 'M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
