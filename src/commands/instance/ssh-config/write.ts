import {Flags} from '@oclif/core'
import {configDirectory} from '../../../cli/places.ts'
import {SshConfigCommand} from '../../../cli/ssh/config-command.ts'
import {sshFiles, writeConfig} from '../../../cli/ssh/config-file.ts'

export default class InstanceSshConfigWrite extends SshConfigCommand {
  static override summary = 'Let ssh, scp, rsync and editors reach your running instances by name.'
  static override description =
    'Writes a file of its own and one Include at the beginning of ~/.ssh/config. Again after new instances.'
  static override examples = [
    '<%= config.bin %> instance ssh-config write && ssh gpuctl.train',
    '<%= config.bin %> instance ssh-config write --dry-run',
  ]
  static override flags = {
    'host-prefix': Flags.string({description: 'before the name of an instance', default: 'gpuctl.'}),
    'dry-run': Flags.boolean({char: 'n', description: 'print what would be written'}),
  }

  async run(): Promise<{hosts: string[]; file: string}> {
    const {flags} = await this.parse(InstanceSshConfigWrite)
    const files = sshFiles(configDirectory())
    const {text, hosts} = await this.makeConfig(flags)
    if (flags['dry-run']) this.log(`# ${files.config}\n${text}`)
    else {
      const isNew = await writeConfig(files, text)
      if (isNew) this.notice(`${files.main} now includes ${files.config}.`)
      this.log(hosts.length > 0 ? `Now: ssh ${hosts.join(', ssh ')}` : 'No instance of yours runs.')
    }
    return {hosts, file: files.config}
  }
}
