import {Args} from '@oclif/core'
import {comeSoFar, downloadToFile, downloadToStream, localPaths} from '../../cli/backup-download.ts'
import {usageError} from '../../cli/failure.ts'
import {bytes} from '../../cli/output/figures.ts'
import {write} from '../../cli/output/machine.ts'
import {Progress} from '../../cli/progress.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import {isTerminal} from '../../cli/terminal.ts'
import type {Backup} from '../../contract/schemas/sites.ts'

export default class BackupDownload extends StreamCommand {
  static override summary = 'Bring the file of a backup here.'
  static override description =
    'The file gets its name when all of it is there and its SHA-256 is right. Broken off, the same command goes on where it was. With `-` it goes to standard output. A tar.zst is unpacked with `tar --zstd -xf`; an incremental one needs those that it builds on.'
  static override examples = [
    '<%= config.bin %> backup download 7',
    '<%= config.bin %> backup download 7 /srv/copies/',
    '<%= config.bin %> backup download 7 - | tar --zstd -t',
  ]
  static override args = {
    backup: Args.string({description: 'id, number or file name', required: true}),
    file: Args.string({description: 'file or folder here, or -; its own name unless given', ignoreStdin: true}),
  }

  async run(): Promise<(Backup & {file: string}) | undefined> {
    const {args, flags} = await this.parse(BackupDownload)
    const client = this.client(flags)
    const isPiped = args.file === '-'
    if (isPiped && isTerminal(process.stdout)) {
      throw usageError('A backup is no text for a terminal.', 'Send it on with | or >, or give a file.')
    }
    const backup = await client.call('backups.get', {id: args.backup})
    const progress = new Progress(this.mode)
    const tell = (text: string) => progress.step(text)
    try {
      if (isPiped) {
        const download = (signal: AbortSignal) =>
          downloadToStream({client, backup, signal, tell}, piece => write(process.stdout, piece))
        return void (await this.untilInterrupted(download))
      }
      const paths = await localPaths(backup, args.file)
      const done = await this.untilInterrupted(async signal => {
        await downloadToFile({client, backup, signal, tell}, paths)
        return true
      })
      progress.end()
      if (!done) {
        const come = `${bytes(await comeSoFar(paths.part))} of ${bytes(backup.sizeBytes)}`
        this.notice(`${come} are in ${paths.part}; the same command goes on.`)
        return undefined
      }
      this.say(`${backup.filename} is in ${paths.file}, and is what was written.`, {id: backup.id, name: paths.file})
      if (backup.baseId) this.notice('It is a difference: it is of use only with those that it builds on.')
      return {...backup, file: paths.file}
    } finally {
      progress.end()
    }
  }
}
