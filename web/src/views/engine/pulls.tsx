// Models on their way from the hub: begun, followed, cancelled.

import { useEffect, useState } from 'preact/hooks'
import { get, post } from '../../api/client'
import { source } from '../../api/load'
import { models } from '../../api/models'
import { Bar } from '../../ui/bar'
import { Button, IconButton } from '../../ui/button'
import { TextField } from '../../ui/field'
import { Shown } from '../../ui/states'
import { sayFailed } from '../../ui/toast'
import { bytes } from '../../ui/words'

export interface Pull {
  id: string
  model: string
  file: string
  state: string
  bytes_done: number
  bytes_total: number
  bytes_per_second: number | null
  served_as: string | null
  error: string | null
}

const pulls = source(async () => (await get<{ data: Pull[] }>('/v1/models/pull')).data)
const LOOK_MILLISECONDS = 1000

const isUnderWay = ({ state }: Pull) => state === 'queued' || state === 'running'

export function Pulls() {
  const [wanted, setWanted] = useState('')
  useEffect(() => {
    let timer = 0
    let wasBusy = false
    const turn = async () => {
      await pulls.refresh()
      const now = pulls.now.peek()
      const isBusy = now.state === 'there' && now.value.some(isUnderWay)
      if (wasBusy && !isBusy) void models.refresh()
      wasBusy = isBusy
      timer = window.setTimeout(() => void turn(), isBusy ? LOOK_MILLISECONDS : 10 * LOOK_MILLISECONDS)
    }
    void turn()
    return () => clearTimeout(timer)
  }, [])
  const begin = async (event: Event) => {
    event.preventDefault()
    try {
      await post('/v1/models/pull', { model: wanted.trim() })
      setWanted('')
    } catch (error) {
      sayFailed(error)
    }
    void pulls.refresh()
  }
  return (
    <section class="card stack" aria-label="Fetch a model">
      <h2>Fetch a model</h2>
      <form class="engine-pull-form" onSubmit={(event) => void begin(event)}>
        <TextField label="From the hub" value={wanted} onText={setWanted} placeholder="owner/repository:Q4_K_M" spellcheck={false} hint="It is served as soon as it is here." />
        <Button type="submit" icon="save" disabled={!wanted.trim()}>Fetch</Button>
      </form>
      <Shown of={pulls} what="Asking for fetches">{(all) => <PullList all={all} />}</Shown>
    </section>
  )
}

function PullList({ all }: { all: Pull[] }) {
  return (
    <ul class="engine-queue">
      {all.slice(0, 6).map((pull) => (
        <li key={pull.id}>
          <span class="engine-queue-head">
            <span>{pull.file || pull.model}</span>
            {isUnderWay(pull) ? <IconButton little icon="close" label={`Cancel ${pull.model}`} onClick={() => void cancel(pull)} /> : <span class={`badge ${pull.state === 'done' ? 'good' : ''}`}>{pull.state}</span>}
          </span>
          {isUnderWay(pull) && <Bar label={`${pull.model}: ${wordsOf(pull)}`} parts={[{ share: pull.bytes_done / Math.max(1, pull.bytes_total) }]} />}
          <span class="small soft numbers">{pull.error ?? wordsOf(pull)}</span>
        </li>
      ))}
    </ul>
  )
}

/** "1.2 GB of 4 GB, 30 MB/s". Pure. */
export function wordsOf({ bytes_done, bytes_total, bytes_per_second, state }: Pull): string {
  if (state === 'queued') return 'waits its turn'
  const done = bytes_total ? `${bytes(bytes_done)} of ${bytes(bytes_total)}` : bytes(bytes_done)
  return bytes_per_second && state === 'running' ? `${done}, ${bytes(bytes_per_second)}/s` : done
}

async function cancel({ id }: Pull): Promise<void> {
  await post(`/v1/models/pull/${encodeURIComponent(id)}/cancel`).catch(sayFailed)
  void pulls.refresh()
}
