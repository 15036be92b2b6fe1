import {Args, Flags} from '@oclif/core'
import {isMachine} from '../../cli/global-flags.ts'
import {instanceStatsColumns} from '../../cli/readings.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import type {InstanceStats} from '../../contract/schemas/instances.ts'

export default class InstanceStatsCommand extends StreamCommand {
  static override summary = 'Follow what an instance uses.'
  static override description = 'It ends with the workload. With -o json each reading is one line of JSON.'
  static override examples = [
    '<%= config.bin %> instance stats train',
    '<%= config.bin %> instance stats train --once -o json',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {once: Flags.boolean({description: 'one reading, then end'})}

  async run(): Promise<InstanceStats | undefined> {
    const {args, flags} = await this.parse(InstanceStatsCommand)
    const client = this.client(flags)
    return this.untilInterrupted(async signal => {
      for await (const {event, data} of client.events('instances.stats', {id: args.instance}, {signal})) {
        if (event !== 'message') continue
        if (!isMachine(this.mode.format)) await this.list([data], instanceStatsColumns, '')
        else if (!flags.once) await this.emit(data, () => '')
        if (flags.once) return data
      }
      return undefined
    })
  }
}
