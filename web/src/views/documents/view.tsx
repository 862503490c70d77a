// Documents: collections, what is in them, and questions to them.

export default function Documents() {
  return (
    <div class="view">
      <div class="view-head">
        <h1>Documents</h1>
      </div>
    </div>
  )
}
