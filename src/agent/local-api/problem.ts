/** An expected failure of the local API, in the envelope of document 004's node agent: `{error, code, details?}`. */
export class LocalProblem extends Error {
  override readonly name = 'LocalProblem'

  constructor(
    readonly status: 400 | 401 | 404 | 405 | 409 | 413 | 500 | 503,
    readonly code: string,
    message: string,
    readonly details?: Record<string, unknown>,
  ) {
    super(message)
  }
}
