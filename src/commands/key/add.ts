import {readFile} from 'node:fs/promises'
import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {readStdin} from '../../cli/prompt.ts'
import type {SshKey} from '../../contract/schemas/keys.ts'

export default class KeyAdd extends ChangeCommand {
  static override summary = 'Add an SSH public key, with which you log in to the jump host.'
  static override description = 'Takes ed25519, ECDSA and RSA (2048 bits or more) in the format of a .pub file.'
  static override examples = [
    '<%= config.bin %> key add ~/.ssh/id_ed25519.pub',
    'ssh-add -L | head -1 | <%= config.bin %> key add - --name laptop',
  ]
  static override args = {file: Args.string({description: 'the .pub file; - reads standard input', required: true})}
  static override flags = {name: Flags.string({description: 'what you call it; its comment unless given'})}

  async run(): Promise<SshKey> {
    const {args, flags} = await this.parse(KeyAdd)
    const text = args.file === '-' ? await readStdin() : await readKeyFile(args.file)
    const key = await this.client(flags).call('keys.create', {key: text.trim(), name: flags.name})
    this.say(`Key ${key.name} is added: ${key.fingerprint}.`, key)
    return key
  }
}

/** A private key is not even sent to be refused. */
async function readKeyFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(`${path} cannot be read: ${error.message}`)
  })
  if (text.includes('PRIVATE KEY')) throw usageError(`${path} is a private key.`, `Add the public one: ${path}.pub`)
  return text
}
