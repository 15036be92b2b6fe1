import {BaseCommand} from '../../../cli/base-command.ts'
import {configDirectory} from '../../../cli/places.ts'
import {removeConfig, sshFiles} from '../../../cli/ssh/config-file.ts'
import {sshFolder} from '../../../cli/ssh/jump-host.ts'
import {removeKey} from '../../../cli/ssh/key.ts'

export default class InstanceSshConfigRemove extends BaseCommand {
  static override summary = "Take gpuctl's part out of ~/.ssh/config, and its key here and at the server."
  static override examples = [
    '<%= config.bin %> instance ssh-config remove',
    '<%= config.bin %> instance ssh-config remove --context lab',
  ]

  async run(): Promise<{done: true}> {
    const {flags} = await this.parse(InstanceSshConfigRemove)
    await removeConfig(sshFiles(configDirectory()))
    const client = this.client(flags)
    const {serverId} = await client.call('server.version', {})
    await removeKey(client, sshFolder(configDirectory(), serverId))
    this.log('Removed.')
    return {done: true}
  }
}
