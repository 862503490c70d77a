// Talk: conversations with a model.

import { useEffect } from 'preact/hooks'
import { models } from '../../api/models'
import { Shown } from '../../ui/states'

export default function Talk() {
  useEffect(() => void models.refresh(), [])
  return (
    <div class="view">
      <div class="view-head">
        <h1>Talk</h1>
      </div>
      <Shown of={models}>{(all) => <p>{all.map(({ id }) => id).join(', ')}</p>}</Shown>
    </div>
  )
}
