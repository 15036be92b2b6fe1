const stars = '****'
/** Names of members and variables that hold secrets. */
const secretName =
  /(pass(word|wd|phrase)?|secret|token|api[-_]?key|private[-_]?key|credential|authorization|cookie|\bjwt\b|client[-_]?key|(^|[-_])key$)/i
/** A name in a text that calls what follows a secret. */
const named =
  '[\\w.-]{0,64}(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|private[-_]?key|authorization|cookie|client[-_]?key)[\\w.-]{0,64}'
/** Values that are secrets by their own looks, wherever they stand. */
const secretLooks: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, stars],
  [/\b(eyJ[\w-]{8,})\.[\w-]{8,}\.[\w-]+/g, stars],
  [/\b(gp[a-z]_|sk-|ghp_|hf_|xox[abp]-|AKIA)[\w-]{8,}/g, stars],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${stars}`],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/:@]*:[^\s/@]+@/gi, `$1${stars}@`],
  // \"name\":\"value\" in JSON within JSON; "name":"value"; name=value, name: value, --name=value
  [new RegExp(`(\\\\"${named}\\\\"\\s*:\\s*)\\\\".*?\\\\"`, 'gi'), `$1\\"${stars}\\"`],
  [new RegExp(`(["']?${named}["']?\\s*[:=]\\s*)"(?:[^"\\\\]|\\\\.)*"`, 'gi'), `$1"${stars}"`],
  [new RegExp(`(["']?${named}["']?\\s*[:=]\\s*)'[^']*'`, 'gi'), `$1'${stars}'`],
  [
    new RegExp(`(["']?${named}["']?\\s*[:=]\\s*)((?:bearer|basic)\\s+)?[^\\s,;&}"'\\\\][^\\s,;&}"']*`, 'gi'),
    `$1${stars}`,
  ],
  [/(--(?:password|token|secret)[\w-]*\s+)[^\s-]\S*/gi, `$1${stars}`],
]

/** Text without the secrets in it: what looks like one, and what a name before it calls one. */
export function maskText(text: string, known: readonly string[] = []): string {
  let masked = text
  for (const secret of known) if (secret.length >= 6) masked = masked.replaceAll(secret, stars)
  for (const [looks, instead] of secretLooks) masked = masked.replace(looks, instead)
  return masked
}

/** A value whose members of secret names are starred, at every depth; texts in it are masked as well. */
export function maskValue(value: unknown, known: readonly string[] = []): unknown {
  if (typeof value === 'string') return maskText(value, known)
  if (Array.isArray(value)) return value.map(one => maskValue(one, known))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      const isSecret = secretName.test(name) && one !== null && one !== '' && typeof one !== 'boolean'
      // Variables of containers are their owners' business.
      return [name, isSecret ? stars : name === 'env' && one ? starred(one) : maskValue(one, known)]
    }),
  )
}

function starred(variables: unknown): unknown {
  if (typeof variables !== 'object' || variables === null) return stars
  return Object.fromEntries(Object.keys(variables).map(name => [name, stars]))
}
