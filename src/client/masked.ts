/** Names of members whose values nobody else may read. */
const secretName = /password|passphrase|secret|token|credential|^current$|(^|[a-z_-])key$/i

/** The value with every secret in it replaced by what `stand` makes of its name; public keys stay. */
export function maskSecrets(value: unknown, stand: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map(one => maskSecrets(one, stand))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      const isSecret = typeof one === 'string' && one !== '' && secretName.test(name) && !/^(ssh|ecdsa)-/.test(one)
      return [name, isSecret ? stand(name) : maskSecrets(one, stand)]
    }),
  )
}

/** A body as it may be shown; what is no JSON is only counted. */
export function maskText(text: string): string {
  try {
    return JSON.stringify(maskSecrets(JSON.parse(text), () => '***'))
  } catch {
    return `(${Buffer.byteLength(text)} bytes)`
  }
}
