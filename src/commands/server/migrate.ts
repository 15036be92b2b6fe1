import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {usageError} from '../../cli/failure.ts'
import {readSecretFile} from '../../cli/secret-input.ts'
import {placeFlags} from './backup.ts'

interface MigrateOutput {
  /** Newest step that the store has now, and the newest that this program knows. */
  found: number
  newest: number
  pending: {version: number; name: string}[]
  /** What was copied, or with --dry-run would be; null without --to. */
  tables: {table: string; rows: number; checksum?: string}[] | null
}

export default class ServerMigrate extends BaseCommand {
  static override summary = 'Bring the schema of the store up to date, or copy a SQLite store into PostgreSQL.'
  static override description =
    'The server must not run; it also does the first by itself when it starts. A copy is one transaction into an empty database: each table is read back and held to its number of rows and its checksum, and after a failure nothing is there, so that it can simply be run again. The SQLite file stays as it is. A password does not belong in --to: use PGPASSWORD, PGPASSFILE, or a URL in a file. With --dry-run nothing is changed, and there is something to do where it ends with 10.'
  static override examples = [
    '<%= config.bin %> server migrate --status',
    '<%= config.bin %> server migrate --to postgres://gpuctl@db/gpuctl --dry-run',
    '<%= config.bin %> server migrate --to-file /run/secrets/database-url',
  ]
  static override flags = {
    ...placeFlags,
    status: Flags.boolean({description: 'only show how the schema stands', exclusive: ['to', 'to-file']}),
    'dry-run': Flags.boolean({char: 'n', description: 'say what would be done, and change nothing'}),
    to: Flags.string({description: 'copy the store into this database', helpValue: '<url>'}),
    'to-file': Flags.string({description: 'read that URL from a file', helpValue: '<file>', exclusive: ['to']}),
  }

  async run(): Promise<MigrateOutput> {
    const {flags} = await this.parse(ServerMigrate)
    const main = await import('../../main/server-migrate.ts')
    const place = {data: flags.data, database: flags.db}
    const to = flags['to-file'] === undefined ? flags.to : (await readSecretFile(flags['to-file'])).trim()
    if (flags.to !== undefined) this.#refusePassword(flags.to)
    const schema = await main.lookAtSchema(place)
    const isPlan = Boolean(flags['dry-run'] || flags.status)
    if (to !== undefined) return {...schema, tables: await this.#copy(to, place, isPlan)}
    this.log(`The schema is version ${schema.found}; this gpuctl works with ${schema.newest}.`)
    for (const {version, name} of schema.pending) this.log(`  ${isPlan ? 'missing' : 'done'}  ${version} ${name}`)
    if (schema.pending.length === 0 || flags.status) return {...schema, tables: null}
    if (isPlan) {
      process.exitCode = exitCode.differs
      return {...schema, tables: null}
    }
    await main.migrateSchema(place)
    return {found: schema.newest, newest: schema.newest, pending: [], tables: null}
  }

  async #copy(to: string, place: {data?: string; database?: string}, isPlan: boolean) {
    const {copyStore, planCopy, targetName} = await import('../../main/server-migrate.ts')
    if (isPlan) {
      const tables = await planCopy(place, to)
      process.exitCode = exitCode.differs
      for (const {table, rows} of tables) this.log(`  ${table}  ${rows} rows`)
      return tables
    }
    const tables = await copyStore(place, to, ({table, rows}) => this.log(`  ${table}  ${rows} rows, the same there`))
    this.log(`${targetName(to)} holds all. Start the server with GPUCTL_DATABASE_URL.`)
    return tables
  }

  /** Words of the command line are for all users of the machine to read. */
  #refusePassword(to: string): void {
    const password = URL.canParse(to) ? new URL(to).password : ''
    if (password === '' || !this.argv.some(word => word.includes(to))) return
    throw usageError(
      'A password in --to can be read by every user of this machine.',
      'Use PGPASSWORD, PGPASSFILE, or --to-file.',
    )
  }
}
