import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {safe} from './output/safe.ts'
import {canAsk} from './terminal.ts'

export interface Question {
  kind: 'input' | 'password'
  message: string
  /** How a script says it instead, as `--username` or `--password-stdin`. */
  instead: string
  /** False: nothing is asked in this run (--no-input, --json). */
  mayAsk: boolean
}

/** The one way to ask a person. Where nobody can answer: usage error that names the flag. */
export async function ask({kind, message, instead, mayAsk}: Question): Promise<string> {
  if (!mayAsk || !canAsk()) throw usageError(`${message} is missing, and there is nobody to ask.`, `Give ${instead}.`)
  const {default: inquirer} = await import('inquirer')
  const question = {type: kind, name: 'answer', message: safe(message), ...(kind === 'password' ? {mask: '•'} : {})}
  const prompt = inquirer.createPromptModule({output: process.stderr})
  const {answer} = (await prompt([question as never])) as {answer: string}
  return answer
}

/** Goes on when the person says yes or `yes` is set; otherwise `cancelled` (9), or usage error where nobody can answer. */
export async function confirm(message: string, {yes, mayAsk}: {yes: boolean; mayAsk: boolean}): Promise<void> {
  if (yes) return
  if (!mayAsk || !canAsk()) throw usageError(`This asks for consent: ${message}`, 'Give --yes.')
  const {default: inquirer} = await import('inquirer')
  const prompt = inquirer.createPromptModule({output: process.stderr})
  const question = {type: 'confirm', name: 'answer', message: safe(message), default: false}
  const {answer} = (await prompt([question as never])) as {answer: boolean}
  if (!answer) throw new Failure('cancelled', 'Nothing was done.', {exitCode: exitCode.cancelled})
}

/** All of stdin as text, at most 1 MiB, without the last newline: how secrets come from scripts. */
export async function readStdin(): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > 1024 * 1024) throw usageError('Standard input is longer than 1 MiB.')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
