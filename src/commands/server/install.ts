import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {serverFlags} from './start.ts'

export const installFlags = {
  'dry-run': Flags.boolean({char: 'n', description: 'print the unit, change nothing'}),
  root: Flags.string({description: 'write the files below this folder, and run nothing', helpValue: '<folder>'}),
  start: Flags.boolean({description: 'start it now', default: true, allowNo: true}),
}

export default class ServerInstall extends BaseCommand {
  static override summary = 'Install the control server as a systemd service of this machine.'
  static override description =
    'Makes the account gpuctl and the unit gpuctl-server, which starts with the machine. Its data is in /var/lib/gpuctl; variables such as GPUCTL_DATABASE_URL go into /etc/gpuctl/server.env. Run again it changes only what differs.'
  static override examples = [
    '<%= config.bin %> server install --dry-run',
    'sudo <%= config.bin %> server install --listen 0.0.0.0:8888',
  ]
  static override flags = {
    ...installFlags,
    ...serverFlags,
    'tls-cert': Flags.string({description: 'PEM file of the certificate', dependsOn: ['tls-key']}),
    'tls-key': Flags.string({description: 'PEM file of its key', dependsOn: ['tls-cert']}),
  }

  async run() {
    const {flags} = await this.parse(ServerInstall)
    const {installService} = await import('../../main/service-install.ts')
    const {unitText} = await import('../../main/service-unit.ts')
    const {readServerFlags} = await import('../../main/server-options.ts')
    await readServerFlags({listen: flags.listen, alsoListen: flags['also-listen']})
    const command = [process.execPath, this.program, 'server', 'start', '--listen', flags.listen]
    for (const address of flags['also-listen'] ?? []) command.push('--also-listen', address)
    command.push('--ssh-port', String(flags['ssh-port']))
    if (flags['tls-cert'] && flags['tls-key'])
      command.push('--tls-cert', resolve(flags['tls-cert']), '--tls-key', resolve(flags['tls-key']))
    const service = {name: 'gpuctl-server', command} as const
    if (flags['dry-run']) {
      const text = unitText(service)
      this.log(text.trimEnd())
      return {unit: text, changed: false, ran: []}
    }
    const done = await installService({service, root: flags.root, start: flags.start})
    this.log(`${done.unit} ${done.changed ? 'is written' : 'was so already'}.`)
    if (flags.root === undefined) {
      this.hint('Next: sudo cat /var/lib/gpuctl/server/first-admin-password  ·  journalctl -fu gpuctl-server')
    }
    return done
  }
}
