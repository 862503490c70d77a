// What models and documents write, made harmless: few elements, no images of others, no styles.

import DOMPurify from 'dompurify'

const TAGS = [
  ...['a', 'b', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'i', 'kbd', 'li'],
  ...['mark', 'ol', 'p', 'pre', 's', 'span', 'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
]
const OWN_CLASS = /^(language-[\w+#-]{1,40}|math-inline|math-block|hljs-[\w -]{1,60}|image-left-out)$/
const SAFE_LINK = /^(https?:|mailto:)/i

DOMPurify.addHook('uponSanitizeAttribute', (_, attribute) => {
  if (attribute.attrName === 'class' && !OWN_CLASS.test(attribute.attrValue)) attribute.keepAttr = false
})

/** Links open elsewhere, tell nobody where from, and show where they go. */
DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return
  const target = node.getAttribute('href') ?? ''
  if (!SAFE_LINK.test(target)) {
    node.removeAttribute('href')
    return
  }
  node.setAttribute('target', '_blank')
  node.setAttribute('rel', 'noopener noreferrer nofollow')
  node.setAttribute('title', target)
  const host = hostOf(target)
  if (host && !node.textContent?.toLowerCase().includes(host)) node.setAttribute('data-host', host)
})

function hostOf(target: string): string {
  try {
    return new URL(target).host
  } catch {
    return ''
  }
}

/** HTML of which nothing but text, its form and links is left. */
export function sanitised(html: string): string {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ['href', 'align', 'start', 'class'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    KEEP_CONTENT: true,
  })
}

/** MathML of which nothing but formulas is left. */
export function sanitisedMath(html: string): string {
  return DOMPurify.sanitize(html, { USE_PROFILES: { mathMl: true }, ADD_TAGS: ['semantics'], FORBID_TAGS: ['annotation', 'annotation-xml'], FORBID_ATTR: ['href', 'style'] })
}
