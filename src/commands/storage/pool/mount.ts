import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolMount extends TaskCommand {
  static override summary = 'Mount an export on nodes: a shared pool, or any NFS server’s.'
  static override description =
    'Each node mounts it, writes a test file, and mounts it again after a restart. Where one fails, the others are unmounted.'
  static override examples = [
    '<%= config.bin %> storage pool mount tank --node gpu-04,gpu-05 --wait',
    '<%= config.bin %> storage pool mount archive --server-ip 192.168.3.50 --export /archive --node gpu-04 --ro',
  ]
  static override args = {
    name: Args.string({description: 'name of the mount; of a pool unless --export is given', required: true}),
  }
  static override flags = {
    ...taskFlags,
    node: Flags.string({description: 'nodes, with commas between', required: true, helpValue: '<list>'}),
    'server-ip': Flags.string({description: 'address of the NFS server; a pool’s node unless given'}),
    export: Flags.string({description: 'path that the server exports', helpValue: '<path>', dependsOn: ['server-ip']}),
    ro: Flags.boolean({description: 'for reading only'}),
  }

  async run(): Promise<OutputOf<'mounts.create'>> {
    const {args, flags} = await this.parse(StoragePoolMount)
    const client = this.client(flags)
    const begun = await client.call('mounts.create', {
      name: args.name,
      nodes: flags.node.split(',').filter(Boolean),
      pool: flags.export === undefined ? args.name : undefined,
      server: flags['server-ip'],
      exportPath: flags.export,
      readOnly: flags.ro || undefined,
    })
    const words = {doing: `Mounting ${args.name}`, done: `${args.name} is mounted on ${flags.node}.`}
    return this.started(client, begun, {flags, ...words})
  }
}
