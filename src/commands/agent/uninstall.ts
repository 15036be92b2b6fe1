import {hostname} from 'node:os'
import {BaseCommand} from '../../cli/base-command.ts'
import {uninstallFlags} from '../server/uninstall.ts'

export default class AgentUninstall extends BaseCommand {
  static override summary = 'End the agent’s systemd service and remove it; its identity stays.'
  static override description =
    'Containers run on. With --purge the machine’s identity goes too, and it must join anew; the name of this machine must then be given by --confirm.'
  static override examples = [
    'sudo <%= config.bin %> agent uninstall',
    'sudo <%= config.bin %> agent uninstall --purge --confirm gpu-03',
  ]
  static override flags = uninstallFlags

  async run(): Promise<{removed: string[]}> {
    const {flags} = await this.parse(AgentUninstall)
    const {requireName, uninstallService} = await import('../../main/service-install.ts')
    if (flags.purge) requireName(flags.confirm, hostname(), '--purge removes the identity of this machine.')
    const removed = await uninstallService({name: 'gpuctl-agent', root: flags.root, purge: flags.purge})
    this.log(removed.length > 0 ? `Removed: ${removed.join(', ')}.` : 'The agent is not installed as a service here.')
    return {removed}
  }
}
