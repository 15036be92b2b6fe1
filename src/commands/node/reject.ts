import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {durationFlag} from '../../cli/units.ts'

export default class NodeReject extends ChangeCommand {
  static override summary = 'Refuse a waiting node; its code is dead at once.'
  static override description =
    'With --block-ip the address that it asked from may not ask again for so long, also after a restart of the server; all machines behind the same address share that. Who comes with a join token is let ask.'
  static override examples = [
    '<%= config.bin %> node reject XK7M2',
    '<%= config.bin %> node reject XK7M2 --reason "not ours"',
    '<%= config.bin %> node reject XK7M2 --block-ip 1h',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'code, id or name; may be repeated', required: true})}
  static override flags = {
    reason: Flags.string({description: 'why; the machine is told'}),
    'block-ip': durationFlag({description: 'no request to join from its address for so long, 1s to 365d'}),
  }

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(NodeReject)
    const client = this.client(flags)
    const blockAddressSeconds = secondsOf(flags['block-ip'])
    return this.each(argv, async id => {
      const done = await client.call('nodes.reject', {node: id, reason: flags.reason, blockAddressSeconds})
      this.say(`${id} is refused.`, {id, name: id})
      return done
    })
  }
}

function secondsOf(durationMs: number | undefined): number | undefined {
  if (durationMs === undefined) return undefined
  const seconds = Math.round(durationMs / 1_000)
  if (seconds >= 1 && seconds <= 365 * 86_400) return seconds
  throw usageError('--block-ip: a block lasts from 1s to 365d.')
}
