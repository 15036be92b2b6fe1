import {statSync} from 'node:fs'
import {join} from 'node:path'
import {usageError} from './failure.ts'
import {changePrivately, readIfThere} from './private-file.ts'

export type Storage = 'keyring' | 'file' | 'none'

export interface CredentialParts {
  env: NodeJS.ProcessEnv
  /** Configuration folder. */
  directory: string
  /** Told once when a token goes to the file because there is no keyring. */
  notice?: (line: string) => void
}

export interface FoundToken {
  token: string
  from: 'GPUCTL_TOKEN' | 'GPUCTL_TOKEN_FILE' | 'keyring' | 'file'
}

/**
 * Where login tokens lie: environment, then the system's keyring, then a file that only the owner reads (T30). A token
 * belongs to a server's address and a context's name together, so that a changed address never gets the old token.
 */
export class Credentials {
  readonly #parts: CredentialParts

  constructor(parts: CredentialParts) {
    this.#parts = parts
  }

  /** From the environment only; it is meant for whichever server is called. */
  async fromEnvironment(): Promise<FoundToken | undefined> {
    const {GPUCTL_TOKEN, GPUCTL_TOKEN_FILE} = this.#parts.env
    if (GPUCTL_TOKEN) return {token: checked(GPUCTL_TOKEN, 'GPUCTL_TOKEN'), from: 'GPUCTL_TOKEN'}
    if (!GPUCTL_TOKEN_FILE) return undefined
    const content = await readIfThere(GPUCTL_TOKEN_FILE)
    if (content === undefined) throw usageError(`GPUCTL_TOKEN_FILE: there is no file ${GPUCTL_TOKEN_FILE}.`)
    return {token: checked(content, GPUCTL_TOKEN_FILE), from: 'GPUCTL_TOKEN_FILE'}
  }

  async find(server: string, context: string | undefined): Promise<FoundToken | undefined> {
    const given = await this.fromEnvironment()
    if (given || context === undefined) return given
    return this.#kept(accountOf(server, context))
  }

  /** Answers where the token lies now. Throws usage error when the keyring was demanded and there is none. */
  async save(server: string, context: string, token: string, storage?: Storage): Promise<Storage> {
    const wanted = storage ?? this.#wanted()
    const account = accountOf(server, context)
    if (wanted === 'none') return 'none'
    if (wanted !== 'file') {
      try {
        const {askKeyring} = await import('./keyring.ts')
        await askKeyring('set', account, {env: this.#parts.env, password: token})
        await this.#changeFile(account, undefined)
        return 'keyring'
      } catch (error) {
        if (wanted === 'keyring')
          throw usageError(`There is no usable keyring here: ${(error as Error).message}`, 'Use --storage file.')
        this.#parts.notice?.(`No keyring here: the token is kept in ${this.#path} (readable only by you).`)
      }
    }
    await this.#changeFile(account, token)
    return 'file'
  }

  async forget(server: string, context: string): Promise<void> {
    const account = accountOf(server, context)
    await this.#changeFile(account, undefined)
    if (this.#wanted() === 'file' || this.#wanted() === 'none') return
    const {askKeyring} = await import('./keyring.ts')
    await askKeyring('delete', account, this.#parts).catch(() => undefined)
  }

  /** The token of a context that gets another name goes with it, to where it lies now. */
  async rename(server: string, from: string, to: string): Promise<void> {
    const kept = await this.#kept(accountOf(server, from))
    if (!kept) return
    await this.save(server, to, kept.token, kept.from)
    await this.forget(server, from)
  }

  async #kept(account: string): Promise<{token: string; from: 'keyring' | 'file'} | undefined> {
    const inFile = (await this.#readFile())[account]
    if (inFile !== undefined) return {token: inFile, from: 'file'}
    if (this.#wanted() === 'file' || this.#wanted() === 'none') return undefined
    const {askKeyring} = await import('./keyring.ts')
    const inKeyring = await askKeyring('get', account, this.#parts).catch(() => undefined)
    return typeof inKeyring === 'string' && inKeyring ? {token: inKeyring, from: 'keyring'} : undefined
  }

  /** Undefined: the keyring where there is one, else the file. */
  #wanted(): Storage | undefined {
    const given = this.#parts.env.GPUCTL_KEYRING
    if (!given) return undefined
    if (given === 'keyring' || given === 'file' || given === 'none') return given
    throw usageError(`GPUCTL_KEYRING is ${given}.`, 'It is keyring, file or none.')
  }

  get #path(): string {
    return join(this.#parts.directory, 'credentials.json')
  }

  async #readFile(): Promise<Record<string, string>> {
    return this.#parse(await readIfThere(this.#path))
  }

  #parse(content: string | undefined): Record<string, string> {
    if (content === undefined) return {}
    const {mode} = statSync(this.#path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw usageError(`${this.#path} can be read by others.`, `Run \`chmod 600 ${this.#path}\`, and log in again.`)
    }
    try {
      return JSON.parse(content) as Record<string, string>
    } catch {
      throw usageError(`${this.#path} is damaged.`, 'Remove it and log in again.')
    }
  }

  async #changeFile(account: string, token: string | undefined): Promise<void> {
    await changePrivately(this.#path, before => {
      const {[account]: old, ...others} = this.#parse(before)
      if (old === token) return undefined
      const all = token === undefined ? others : {...others, [account]: token}
      return `${JSON.stringify(all, undefined, 2)}\n`
    })
  }
}

function accountOf(server: string, context: string): string {
  return `${context}@${server}`
}

function checked(given: string, from: string): string {
  const token = given.trim()
  if (!/^[\x21-\x7e]{1,8192}$/.test(token)) throw usageError(`${from} does not hold a token.`)
  return token
}
