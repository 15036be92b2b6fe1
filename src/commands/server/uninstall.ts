import {hostname} from 'node:os'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export const uninstallFlags = {
  root: Flags.string({description: 'remove the files below this folder, and run nothing', helpValue: '<folder>'}),
  purge: Flags.boolean({description: 'remove its data too, for ever'}),
  confirm: Flags.string({description: 'name of this machine, needed with --purge', helpValue: '<hostname>'}),
}

export default class ServerUninstall extends BaseCommand {
  static override summary = 'End the control server’s systemd service and remove it; its data stays.'
  static override description =
    'With --purge the store, the keys and every record of the fleet go too; the name of this machine must then be given by --confirm.'
  static override examples = [
    'sudo <%= config.bin %> server uninstall',
    'sudo <%= config.bin %> server uninstall --purge --confirm control-1',
  ]
  static override flags = uninstallFlags

  async run(): Promise<{removed: string[]}> {
    const {flags} = await this.parse(ServerUninstall)
    const {requireName, uninstallService} = await import('../../main/service-install.ts')
    if (flags.purge)
      requireName(flags.confirm, hostname(), '--purge removes /var/lib/gpuctl: users, claims, keys, all.')
    const removed = await uninstallService({name: 'gpuctl-server', root: flags.root, purge: flags.purge})
    this.log(removed.length > 0 ? `Removed: ${removed.join(', ')}.` : 'The server is not installed as a service here.')
    if (!flags.purge && removed.length > 0) this.notice('Its data stays in /var/lib/gpuctl.')
    return {removed}
  }
}
