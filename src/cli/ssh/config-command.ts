import {BaseCommand} from '../base-command.ts'
import type {GlobalFlags} from '../global-flags.ts'
import {configDirectory} from '../places.ts'
import {configFor} from './config-file.ts'
import {findWay, type SshWay} from './jump-host.ts'
import {proxyCommand} from './proxy-command.ts'

/** What the commands on the ssh configuration share. */
export abstract class SshConfigCommand extends BaseCommand {
  /** Of all running instances of this person; the names of their hosts. */
  protected async makeConfig(flags: GlobalFlags & {'host-prefix': string}): Promise<{text: string; hosts: string[]}> {
    // A dry run spares the files; the key of some hours is this login's own, as with every `gpuctl ssh`.
    const client = this.client({...flags, 'dry-run': false})
    const running = await client.call('instances.list', {status: 'running', limit: 1000})
    const ways: SshWay[] = []
    for (const {id} of running) ways.push(await findWay(client, configDirectory(), id))
    const prefix = flags['host-prefix']
    const choice = this.choose(flags)
    const text = configFor(ways, prefix, id => proxyCommand(this.program, choice, id))
    return {text, hosts: ways.map(({instance}) => `${prefix}${instance.name}`)}
  }
}
