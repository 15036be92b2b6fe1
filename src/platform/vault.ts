import {createCipheriv, createDecipheriv, randomBytes} from 'node:crypto'

const version = 'v1'

/** AES-256-GCM with a random nonce; the context is authenticated with it, so that a sealed value works in its own place only. */
export class KeyVault {
  readonly #key: Buffer

  /** The key: 32 bytes, base64url. */
  constructor(key: string) {
    this.#key = Buffer.from(key, 'base64url')
    if (this.#key.length !== 32) throw new RangeError('The vault key must be 32 bytes.')
  }

  async seal(plain: string, context: string): Promise<string> {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(`${version}:${context}`))
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return [
      version,
      nonce.toString('base64url'),
      Buffer.concat([sealed, cipher.getAuthTag()]).toString('base64url'),
    ].join('.')
  }

  /** Throws when the value was changed, or sealed in another place or under another key. */
  async open(sealed: string, context: string): Promise<string> {
    const [found, nonce = '', body = ''] = sealed.split('.')
    if (found !== version) throw new Error('Not a sealed value.')
    const bytes = Buffer.from(body, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, Buffer.from(nonce, 'base64url'))
    decipher.setAAD(Buffer.from(`${version}:${context}`)).setAuthTag(bytes.subarray(-16))
    return decipher.update(bytes.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8')
  }
}
