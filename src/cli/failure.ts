import {exitCode} from './exit-codes.ts'

/** An expected failure that the command line itself finds, before or after it asked the server. */
export class Failure extends Error {
  readonly code: string
  readonly hint: string
  readonly exitCode: number
  readonly details: Record<string, unknown>

  constructor(code: string, message: string, options: {hint?: string; exitCode?: number; details?: object} = {}) {
    super(message)
    this.name = 'Failure'
    this.code = code
    this.hint = options.hint ?? ''
    this.exitCode = options.exitCode ?? exitCode.failure
    this.details = {...options.details}
  }
}

/** What was typed cannot be meant so: exit 2. */
export function usageError(message: string, hint = ''): Failure {
  return new Failure('usage', message, {hint, exitCode: exitCode.usage})
}
