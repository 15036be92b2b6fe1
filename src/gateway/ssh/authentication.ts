import ssh2, {type AuthContext, type KeyboardAuthContext, type PublicKeyAuthContext} from 'ssh2'
import type {Caller} from '../../domain/caller.ts'
import {isProblem} from '../../domain/errors.ts'
import type {Peer, Services} from '../../domain/services/services.ts'
import {readLoginName} from './login-name.ts'

export interface Login {
  caller: Caller
  /** What stood behind the plus. */
  instance?: string
}

interface AuthenticationParts {
  services: Services
  peer: Peer
  maxTries: number
  /** Called before the client hears of it. */
  onLogin: (login: Login) => void
  /** A try too many, or a failure that is ours. */
  onCut: (reason: string, error?: unknown) => void
}

type Method = 'publickey' | 'password' | 'keyboard-interactive'
const methods: Method[] = ['publickey', 'password', 'keyboard-interactive']

/** The tries of one connection to log in: by a key that the user added, or by the user's password (T9, T26). */
export class Authentication {
  readonly #parts: AuthenticationParts
  #failures = 0

  constructor(parts: AuthenticationParts) {
    this.#parts = parts
  }

  async take(context: AuthContext): Promise<void> {
    try {
      if (context.method === 'none') return context.reject(methods)
      const caller = await this.#judge(context)
      if (caller === 'asked') return
      if (!caller) return this.#fail(context)
      this.#parts.onLogin({caller, instance: readLoginName(context.username).instance})
      context.accept()
    } catch (error) {
      this.#parts.onCut('the login failed', error)
    }
  }

  #fail(context: AuthContext): void {
    this.#failures++
    // Without an answer, or the client would begin the next try before it hears of the end.
    if (this.#failures >= this.#parts.maxTries) this.#parts.onCut('too many failed logins')
    else context.reject(methods)
  }

  async #judge(context: AuthContext): Promise<Caller | 'asked' | undefined> {
    const {username} = readLoginName(context.username)
    if (context.method === 'publickey') return this.#byKey(username, context)
    if (context.method === 'password') return this.#byPassword(username, context.password)
    if (context.method !== 'keyboard-interactive') return undefined
    const password = await answerOf(context)
    return password === undefined ? 'asked' : this.#byPassword(username, password)
  }

  async #byPassword(username: string, password: string): Promise<Caller | undefined> {
    const {services, peer} = this.#parts
    try {
      return await services.auth.passwordLogin({username, password}, peer)
    } catch (error) {
      // Who guesses learns nothing: not that it is too early, nor that the account is disabled.
      if (isProblem(error)) return undefined
      throw error
    }
  }

  /** First the client asks whether the key would do; the signature is checked against the key that was added. */
  async #byKey(username: string, context: PublicKeyAuthContext): Promise<Caller | 'asked' | undefined> {
    const {services, peer} = this.#parts
    const {key, blob, signature, hashAlgo} = context
    const known = await services.auth.findKey(username, key.data)
    if (!known) return undefined
    if (!signature || !blob) {
      context.accept()
      return 'asked'
    }
    // Without a hash of its own, RSA means SHA-1.
    if (known.type === 'ssh-rsa' && !hashAlgo) return undefined
    const parsed = ssh2.utils.parseKey(`${known.type} ${known.base64}`)
    if (parsed instanceof Error || parsed.verify(blob, signature, hashAlgo) !== true) return undefined
    try {
      return await services.auth.keyLogin(username, key.data, peer)
    } catch (error) {
      if (isProblem(error, 'login_failed')) return undefined
      throw error
    }
  }
}

/** The password that the client types, or undefined when it began anew meanwhile. */
function answerOf(context: KeyboardAuthContext): Promise<string | undefined> {
  return new Promise(resolve => {
    context.once('abort', () => resolve(undefined))
    context.prompt([{prompt: 'Password: ', echo: false}], answers => {
      resolve(Array.isArray(answers) ? (answers[0] ?? '') : undefined)
    })
  })
}
