// The models of the server: what is in memory, loading and unloading, and how replicas are.

import { useState } from 'preact/hooks'
import { post } from '../../api/client'
import { models, type Model } from '../../api/models'
import { Button } from '../../ui/button'
import { Shown, Spinner } from '../../ui/states'
import { say, sayFailed } from '../../ui/toast'
import { bytes } from '../../ui/words'
import type { ServedModel } from './snapshot'

export function Models({ served }: { served: ServedModel[] }) {
  return (
    <section class="card stack" aria-label="Models">
      <h2>Models</h2>
      <Shown of={models} what="Asking for the models">
        {(all) => (
          <ul class="engine-model-list">
            {all.map((model) => (
              <ModelRow key={model.id} model={model} live={served.find(({ id }) => id === model.id)} />
            ))}
          </ul>
        )}
      </Shown>
    </section>
  )
}

function ModelRow({ model, live }: { model: Model; live: ServedModel | undefined }) {
  const state = live?.state ?? String(model.state ?? '')
  const isPinned = live?.pinned ?? model.pinned === true
  const size = live?.size_bytes ?? (model.size_bytes as number | null | undefined) ?? null
  return (
    <li>
      <div class="engine-model-words">
        <span class="engine-model-name">{model.id}</span>
        <span class="small soft numbers">
          {[live?.backend, size && bytes(size), live?.context_length && `${live.context_length.toLocaleString('en')} tokens`].filter(Boolean).join(' · ')}
        </span>
        {live && live.replicas.length > 1 && <Replicas live={live} />}
      </div>
      <span class={`badge ${state === 'loaded' ? 'good' : ''}`}>{isPinned ? `${state}, pinned` : state}</span>
      {live && <LoadButton id={model.id} state={state} />}
    </li>
  )
}

function Replicas({ live }: { live: ServedModel }) {
  return (
    <ul class="engine-replicas small">
      {live.replicas.map(({ name, is_well, running }) => (
        <li key={name}>
          <span class={`badge ${is_well ? 'good' : 'bad'}`}>{is_well ? 'well' : 'broken'}</span> {name}
          <span class="soft numbers"> {running} running</span>
        </li>
      ))}
    </ul>
  )
}

function LoadButton({ id, state }: { id: string; state: string }) {
  const [isBusy, setBusy] = useState(false)
  const isThere = state === 'loaded'
  const act = async () => {
    setBusy(true)
    try {
      await post(`/v1/models/${isThere ? 'unload' : 'load'}`, { model: id })
      say(isThere ? `${id} has left memory.` : `${id} is in memory.`)
    } catch (error) {
      sayFailed(error)
    } finally {
      setBusy(false)
      void models.refresh()
    }
  }
  return (
    <Button little disabled={isBusy || (state !== 'loaded' && state !== 'unloaded')} onClick={() => void act()} aria-label={`${isThere ? 'Unload' : 'Load'} ${id}`}>
      {isBusy && <Spinner />}
      {isThere ? 'Unload' : 'Load'}
    </Button>
  )
}
