import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Client} from '../../client/client.ts'

interface BundleOutput {
  file: string
  sizeBytes: number
  contents: {path: string; sizeBytes: number}[]
}

export default class SupportBundle extends BaseCommand {
  static override summary = 'Write an archive for a bug report, with secrets masked, and list what is in it.'
  static override description =
    'A .tar.gz that only you may read: versions, what `doctor` finds, your settings, the fleet, tasks, events, and the end of the log of a server of this machine. Passwords, tokens, keys and the variables of containers are starred. Nothing is sent anywhere: look at it before you pass it on.'
  static override examples = [
    '<%= config.bin %> support bundle',
    '<%= config.bin %> support bundle --file report.tar.gz -o json',
  ]
  static override flags = {
    file: Flags.string({
      char: 'f',
      description: 'path of the archive; gpuctl-support-TIME.tar.gz here unless given',
      helpValue: '<path>',
    }),
    data: Flags.directory({description: 'data directory of the server of this machine'}),
  }

  async run(): Promise<BundleOutput> {
    const {flags} = await this.parse(SupportBundle)
    const now = new Date()
    const file = flags.file ?? `gpuctl-support-${now.toISOString().slice(0, 19).replace(/[:T]/g, '-')}.tar.gz`
    const {examineClient} = await import('../../cli/doctor/examine.ts')
    const {collectBundle} = await import('../../cli/support/bundle.ts')
    const {packFiles} = await import('../../cli/support/archive.ts')
    const {readServerLog} = await import('../../main/local-fleet.ts')
    const {writeFile} = await import('node:fs/promises')
    const client: Client = this.client(flags)
    const {version} = this.config
    const {env} = process
    const diagnoses = await examineClient({client, version, env, origin: this.choose(flags).origin})
    const findings = diagnoses.map(({check, level, message, fix}) => ({check, level, message, fix}))
    const token = await this.findToken(this.choose(flags)).catch(() => undefined)
    const known = token ? [token.token] : []
    const serverLog = await readServerLog(flags.data)
    const files = await collectBundle({client, env, version, findings, serverLog, known})
    const archive = await packFiles(files, now.getTime())
    await writeFile(file, archive, {mode: 0o600, flag: 'wx'}).catch((error: NodeJS.ErrnoException) => {
      const words = error.code === 'EEXIST' ? 'is there already' : `cannot be written (${error.code})`
      throw usageError(`${file} ${words}.`, 'Give another path with --file.')
    })
    const contents = files.map(({path, text}) => ({path, sizeBytes: Buffer.byteLength(text)}))
    this.log(`${file}, ${archive.length} bytes:`)
    for (const {path, sizeBytes} of contents) this.log(`  ${path}  ${sizeBytes} bytes`)
    this.hint('Look at it before you pass it on: tar -xzf, and read.')
    return {file, sizeBytes: archive.length, contents}
  }
}
