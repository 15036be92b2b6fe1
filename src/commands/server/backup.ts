import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {bucketFlags, readBackupPlace} from '../../cli/bucket-input.ts'
import {passphraseFlags, readPassphrase} from '../../cli/secret-input.ts'

export const placeFlags = {
  data: Flags.directory({description: 'data directory of the server'}),
  db: Flags.string({description: 'postgres:// URL; a SQLite file unless given', env: 'GPUCTL_DATABASE_URL'}),
}

interface BackupOutput {
  /** Path, or `s3://bucket/key`. */
  file: string
  sizeBytes: number
  sha256: string
  encrypted: boolean
  /** Keys of the server that are in it. */
  keys: string[]
  createdAt: string
}

export default class ServerBackup extends BaseCommand {
  static override summary =
    'Copy the store of the server of this machine into one file or S3 object, while the server runs or not.'
  static override description =
    'The copy is of one moment, mode 0600, with checksums, and is read back before the file gets its name. Secrets in it are sealed by the key `vault-key`, which goes along with --with-key only: then give --encrypt too, or keep the file as you keep the server. What goes into a bucket is read back there, too; a key that ends with / gets a new name with host and time. A store in PostgreSQL is written as a SQLite one, so that it can be restored into either. A backup is written down in the audit.'
  static override examples = [
    '<%= config.bin %> server backup /var/backups/gpuctl.tar.gz',
    '<%= config.bin %> server backup gpuctl.backup --with-key --encrypt --passphrase-file /run/secrets/backup',
    '<%= config.bin %> server backup --s3 s3://backups/control-1/ --endpoint https://s3.example.com --access-key AK1 --secret-file key.txt',
  ]
  static override args = {file: Args.string({description: 'path, or s3://bucket/key, that is not there yet'})}
  static override flags = {
    ...placeFlags,
    ...bucketFlags,
    'with-key': Flags.boolean({description: 'with the keys of the server: to restore it on another machine'}),
    encrypt: Flags.boolean({description: 'encrypt it with a passphrase (scrypt, AES-256-GCM)'}),
    ...passphraseFlags,
  }

  async run(): Promise<BackupOutput> {
    const {args, flags} = await this.parse(ServerBackup)
    const isEncrypted = Boolean(flags.encrypt || flags['passphrase-stdin']) || flags['passphrase-file'] !== undefined
    const passphrase = isEncrypted ? await readPassphrase(flags, this.mode.mayAsk, {isNew: true}) : undefined
    const {backupServer} = await import('../../main/server-backup.ts')
    const {file, manifest, ...made} = await backupServer({
      ...{data: flags.data, database: flags.db, passphrase, ...(await readBackupPlace(args.file, flags))},
      ...{withKey: Boolean(flags['with-key']), version: this.config.version},
    })
    const keys = manifest.members.map(({path}) => path).filter(path => path !== 'server.db')
    this.log(`${file}: ${made.sizeBytes} bytes, as of ${manifest.createdAt}.`)
    this.log(`SHA-256 ${made.sha256}`)
    if (keys.length > 0 && !isEncrypted) this.notice('Whoever reads this file has the keys of the server.')
    if (keys.length === 0) this.notice('The keys of the server are not in it: keep vault-key in another safe place.')
    return {file, ...made, keys, createdAt: manifest.createdAt}
  }
}
