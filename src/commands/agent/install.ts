import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {installFlags} from '../server/install.ts'
import {agentFlags} from './start.ts'

export default class AgentInstall extends BaseCommand {
  static override summary = 'Install the node agent as a systemd service of this machine.'
  static override description =
    'Makes the unit gpuctl-agent, which starts with the machine and runs as root, for it makes containers, pools and mounts. Its identity is in /var/lib/gpuctl-agent. The code with which the machine asks to join is shown by `gpuctl node pending` at the server, and in the journal.'
  static override examples = [
    '<%= config.bin %> agent install --server http://control:8888 --dry-run',
    'sudo <%= config.bin %> agent install --server http://control:8888 --join-token-file /etc/gpuctl/join-token',
  ]
  static override flags = {
    ...installFlags,
    ...agentFlags,
    name: Flags.string({description: 'name under which to join; the host name unless given'}),
    label: Flags.string({description: 'label of the node, KEY=VALUE; may be repeated', multiple: true}),
    'join-token-file': Flags.string({description: 'file with a join token: no code, no waiting', helpValue: '<file>'}),
  }

  async run() {
    const {flags} = await this.parse(AgentInstall)
    const {installService} = await import('../../main/service-install.ts')
    const {unitText} = await import('../../main/service-unit.ts')
    const command = [process.execPath, this.program, 'agent', 'start', '--server', await this.serverUrl(flags)]
    for (const name of ['runtime', 'fake-gpus', 'name', 'join-token-file'] as const) {
      const value = flags[name]
      if (value !== undefined) command.push(`--${name}`, name === 'join-token-file' ? resolve(value) : value)
    }
    for (const label of flags.label ?? []) command.push('--label', label)
    const service = {name: 'gpuctl-agent', command} as const
    if (flags['dry-run']) {
      const text = unitText(service)
      this.log(text.trimEnd())
      return {unit: text, changed: false, ran: []}
    }
    const done = await installService({service, root: flags.root, start: flags.start})
    this.log(`${done.unit} ${done.changed ? 'is written' : 'was so already'}.`)
    if (flags.root === undefined) this.hint('Next: gpuctl node pending  ·  journalctl -fu gpuctl-agent')
    return done
  }
}
