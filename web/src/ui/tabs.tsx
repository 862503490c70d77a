// One of a few ways to look at the same thing. Arrow keys move between them.

export interface Tab {
  id: string
  label: string
}

export function Tabs({ label, tabs, chosen, onChoose }: { label: string; tabs: Tab[]; chosen: string; onChoose: (id: string) => void }) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    const now = tabs.findIndex(({ id }) => id === chosen)
    const next = tabs[(now + step + tabs.length) % tabs.length]
    if (next) onChoose(next.id)
    const row = event.currentTarget as HTMLElement
    requestAnimationFrame(() => row.querySelector<HTMLElement>('[aria-selected=true]')?.focus())
  }
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(({ id, label: words }) => (
        <button key={id} type="button" role="tab" aria-selected={id === chosen} tabIndex={id === chosen ? 0 : -1} onClick={() => onChoose(id)}>
          {words}
        </button>
      ))}
    </div>
  )
}
