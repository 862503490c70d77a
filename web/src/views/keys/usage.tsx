// Usage: a bar for each day, and the sums by model.

import { DayBars } from '../../ui/chart'
import { Notice } from '../../ui/states'
import { Table, type Column } from '../../ui/table'
import { percent } from '../../ui/words'
import { barsOf, byModel, type ModelSum, type UsageList } from './keys'

const COLUMNS: Column<ModelSum>[] = [
  { title: 'Model', cell: ({ model }) => <span dir="auto">{model}</span> },
  { title: 'Requests', right: true, cell: ({ requests }) => requests.toLocaleString('en') },
  { title: 'Prompts', right: true, cell: ({ prompt }) => prompt.toLocaleString('en') },
  { title: 'Cached', right: true, cell: ({ prompt, cached }) => (prompt ? percent(cached / prompt) : '–') },
  { title: 'Answers', right: true, cell: ({ answers }) => answers.toLocaleString('en') },
]

export function Usage({ list, title }: { list: UsageList; title: string }) {
  if (!list.is_counted) {
    return <Notice>Nothing is counted here: this server asks for no key, or <code>USAGE_DAYS</code> is 0.</Notice>
  }
  return (
    <div class="stack">
      <DayBars label={title} unit="tokens" days={barsOf(list.data, new Date())} />
      {list.data.length ? <Table caption="Usage by model" columns={COLUMNS} rows={byModel(list.data)} keyOf={({ model }) => model} /> : <p class="soft small">Nothing in these days. Days are those of UTC.</p>}
    </div>
  )
}
