// A bar of parts of a whole. What it shows is said in words as well.

export interface Part {
  share: number
  tone?: 1 | 2 | 3 | 4 | 'bad'
}

/** `parts` are shares of 1; what they leave is empty. */
export function Bar({ parts, label }: { parts: Part[]; label: string }) {
  const whole = parts.reduce((sum, part) => sum + part.share, 0)
  return (
    <div class="bar" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(Math.min(whole, 1) * 100)}>
      {parts.map(({ share, tone = 1 }, index) => (
        <span key={index} class={`tone-${tone}`} style={{ width: `${Math.max(0, Math.min(share, 1)) * 100}%` }} />
      ))}
    </div>
  )
}
