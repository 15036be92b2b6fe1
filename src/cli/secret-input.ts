import {readFile} from 'node:fs/promises'
import {Flags} from '@oclif/core'
import {usageError} from './failure.ts'
import {ask, readStdin} from './prompt.ts'

/** How a password gets in. There is no --password: arguments stand in process lists and shell histories. */
export const secretFlags = {
  'password-stdin': Flags.boolean({description: 'read the password from standard input', exclusive: ['password-file']}),
  'password-file': Flags.string({description: 'read the password from a file', helpValue: '<file>'}),
  password: Flags.string({
    hidden: true,
    parse: async () => {
      throw usageError(
        'A password in a flag can be read by every user of this machine.',
        'Use --password-stdin or --password-file.',
      )
    },
  }),
}

/** How the passphrase of a backup gets in. */
export const passphraseFlags = {
  'passphrase-file': Flags.string({description: 'read the passphrase from a file', helpValue: '<file>'}),
  'passphrase-stdin': Flags.boolean({
    description: 'read the passphrase from standard input',
    exclusive: ['passphrase-file'],
  }),
}

/** The passphrase from where the flags say, or asked for; a new one twice. */
export async function readPassphrase(
  flags: {'passphrase-stdin'?: boolean; 'passphrase-file'?: string},
  mayAsk: boolean,
  {isNew = false}: {isNew?: boolean} = {},
): Promise<string> {
  if (flags['passphrase-stdin']) return readStdin()
  if (flags['passphrase-file'] !== undefined) return readSecretFile(flags['passphrase-file'])
  const question = {kind: 'password', instead: '--passphrase-file or --passphrase-stdin', mayAsk} as const
  const given = await ask({...question, message: 'Passphrase of the backup'})
  if (isNew && (await ask({...question, message: 'Passphrase, once more'})) !== given)
    throw usageError('The two are not the same.', 'Try again; nothing was written.')
  return given
}

/** Words for who sends a password to a server that others can listen to; undefined where nobody can. */
export function inClear(server: string): string | undefined {
  const {protocol, hostname} = new URL(server)
  const isLocal = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  if (protocol === 'https:' || isLocal) return undefined
  return `Careful: ${server} is not encrypted; others on the way can read the password.`
}

/** The password from where the flags say, or asked for. */
export async function readSecret(
  flags: {'password-stdin'?: boolean; 'password-file'?: string},
  message: string,
  mayAsk: boolean,
  instead = '--password-stdin or --password-file',
): Promise<string> {
  if (flags['password-stdin']) return readStdin()
  if (flags['password-file'] !== undefined) return readSecretFile(flags['password-file'])
  return ask({kind: 'password', message, instead, mayAsk})
}

/** A password that begins to hold: a person types it twice. */
export async function readNewSecret(
  flags: {'password-stdin'?: boolean; 'password-file'?: string},
  message: string,
  mayAsk: boolean,
): Promise<string> {
  const password = await readSecret(flags, message, mayAsk)
  if (flags['password-stdin'] || flags['password-file'] !== undefined) return password
  const again = await ask({kind: 'password', message: `${message}, once more`, instead: '--password-stdin', mayAsk})
  if (again !== password) throw usageError('The two are not the same.', 'Try again; nothing was changed.')
  return password
}

/** Without the newline at its end. */
export async function readSecretFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(`${path} cannot be read: ${error.message}`)
  })
  return text.replace(/\r?\n$/, '')
}
