import {hostname} from 'node:os'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {bucketFlags, readBackupPlace} from '../../cli/bucket-input.ts'
import {passphraseFlags, readPassphrase} from '../../cli/secret-input.ts'
import {placeFlags} from './backup.ts'

interface RestoreOutput {
  /** When the backup was made, where, and by which gpuctl. */
  createdAt: string
  host: string
  gpuctl: string
  /** Where the former store lies; null where there was none. */
  kept: string | null
  keys: string[]
}

export default class ServerRestore extends BaseCommand {
  static override summary = 'Put a backup in the place of the store of this machine’s server.'
  static override description =
    'Refused while the server runs. The backup is held to its checksums, opened and brought to the newest schema first; the store that was here is kept beside it. With --db it goes into that database, which must be empty. What happened since the backup is forgotten: claims, users, and that a token was revoked. Containers of forgotten claims are left alone and listed. The name of this machine must be given by --confirm.'
  static override examples = [
    '<%= config.bin %> server restore /var/backups/gpuctl.tar.gz --confirm control-1',
    '<%= config.bin %> server restore gpuctl.backup --passphrase-file /run/secrets/backup --confirm control-1',
    '<%= config.bin %> server restore s3://backups/control-1/gpuctl-control-1-20260102T030405Z.backup --confirm control-1',
  ]
  static override args = {file: Args.string({description: 'path of the backup, or s3://bucket/key'})}
  static override flags = {
    ...placeFlags,
    ...bucketFlags,
    ...passphraseFlags,
    confirm: Flags.string({description: 'name of this machine', helpValue: '<hostname>'}),
  }

  async run(): Promise<RestoreOutput> {
    const {args, flags} = await this.parse(ServerRestore)
    const {requireName} = await import('../../main/service-install.ts')
    requireName(flags.confirm, hostname(), 'This replaces all that the server of this machine knows.')
    const {restoreServer} = await import('../../main/server-restore.ts')
    const {manifest, kept, keys, hasVaultKey} = await restoreServer({
      ...{data: flags.data, database: flags.db, ...(await readBackupPlace(args.file, flags))},
      findPassphrase: () => readPassphrase(flags, this.mode.mayAsk),
    })
    this.log(`The store is as it was at ${manifest.createdAt} on ${manifest.host}.`)
    if (kept) this.log(`What was here is kept in ${kept}.`)
    if (!hasVaultKey)
      this.notice(
        'vault-key is missing: sealed secrets (keys of Docker engines, of backup targets) must be given anew.',
      )
    this.hint('Next: gpuctl server start')
    const {createdAt, host, gpuctl} = manifest
    return {createdAt, host, gpuctl, kept, keys}
  }
}
