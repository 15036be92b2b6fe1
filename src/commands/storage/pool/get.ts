import {Args} from '@oclif/core'
import {GetCommand} from '../../../cli/list-command.ts'
import {bytes} from '../../../cli/output/figures.ts'
import type {Pool} from '../../../contract/schemas/storage.ts'

export default class StoragePoolGet extends GetCommand {
  static override summary = 'Show a storage pool.'
  static override examples = [
    '<%= config.bin %> storage pool get tank',
    '<%= config.bin %> storage pool get tank -o yaml',
  ]
  static override args = {pool: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Pool> {
    const {args, flags} = await this.parse(StoragePoolGet)
    const pool = await this.client(flags).call('pools.get', {id: args.pool})
    const {share} = pool
    return this.show(pool, [
      ['Pool', pool.name],
      ['Node', pool.node],
      ['Type', pool.type],
      ['Device', pool.device],
      ['Status', pool.status],
      ['Size', bytes(pool.sizeBytes)],
      ['Free', bytes(pool.freeBytes)],
      ['Path', pool.path],
      [
        'Shared',
        share
          ? `${share.exportPath} to ${share.network}, ${share.readWrite ? 'rw' : 'ro'}${share.rootSquash ? '' : ', root not squashed'}`
          : 'no',
      ],
      ['Comment', pool.comment],
      ['Id', pool.id],
    ])
  }
}
