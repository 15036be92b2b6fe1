import {Flags} from '@oclif/core'
import {SshConfigCommand} from '../../../cli/ssh/config-command.ts'

export default class InstanceSshConfigPrint extends SshConfigCommand {
  static override summary = 'Print an ssh configuration for your running instances.'
  static override examples = [
    '<%= config.bin %> instance ssh-config print',
    '<%= config.bin %> instance ssh-config print > lab.config && ssh -F lab.config gpuctl.train',
  ]
  static override flags = {
    'host-prefix': Flags.string({description: 'before the name of an instance', default: 'gpuctl.'}),
  }

  async run(): Promise<{config: string}> {
    const {flags} = await this.parse(InstanceSshConfigPrint)
    const {text} = await this.makeConfig(flags)
    this.log(text.trimEnd())
    return {config: text}
  }
}
