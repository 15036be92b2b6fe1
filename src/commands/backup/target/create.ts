import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {usageError} from '../../../cli/failure.ts'
import {readSecret} from '../../../cli/secret-input.ts'
import type {BackupTarget} from '../../../contract/schemas/backups.ts'

export default class BackupTargetCreate extends ChangeCommand {
  static override summary = 'Name a place for backups: a folder of the nodes, or an S3 bucket.'
  static override description =
    'A folder must be there on each node that backs up to it. The secret of a bucket’s key is asked for, or read from a file or standard input; it is kept sealed and never shown.'
  static override examples = [
    '<%= config.bin %> backup target create disk --path /srv/backups',
    '<%= config.bin %> backup target create s3-main --bucket backups --endpoint https://s3.example.com --access-key AK1 --secret-file key.txt',
  ]
  static override args = {name: Args.string({description: 'name of the place', required: true})}
  static override flags = {
    path: Flags.string({description: 'a folder of the nodes', helpValue: '<folder>'}),
    bucket: Flags.string({description: 'an S3 bucket', exclusive: ['path']}),
    endpoint: Flags.string({description: 'its server, as https://s3.example.com', dependsOn: ['bucket']}),
    region: Flags.string({description: 'its region; us-east-1 unless given', dependsOn: ['bucket']}),
    prefix: Flags.string({description: 'before each file name, as fleet-a/', dependsOn: ['bucket']}),
    'access-key': Flags.string({description: 'id of its key', dependsOn: ['bucket']}),
    'secret-stdin': Flags.boolean({description: 'read the key’s secret from standard input'}),
    'secret-file': Flags.string({description: 'read the key’s secret from a file', helpValue: '<file>'}),
  }

  async run(): Promise<BackupTarget> {
    const {args, flags} = await this.parse(BackupTargetCreate)
    const {path, bucket, endpoint, region, prefix} = flags
    if (path === undefined && bucket === undefined) throw usageError('Say where: --path or --bucket.')
    const secret = () =>
      readSecret(
        {'password-stdin': flags['secret-stdin'], 'password-file': flags['secret-file']},
        'Secret of the key',
        this.mode.mayAsk,
        '--secret-stdin or --secret-file',
      )
    const place = path
      ? {type: 'directory' as const, path}
      : {type: 's3' as const, bucket, endpoint, region, prefix, accessKeyId: flags['access-key']}
    const rest = path ? {} : {secretAccessKey: await secret()}
    const made = await this.client(flags).call('backupTargets.create', {name: args.name, ...place, ...rest})
    this.say(`Backups may go to ${made.name}.`, made)
    this.hint(`Make one with \`gpuctl backup create SITE --to ${made.name}\`.`)
    return made
  }
}
