import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceDelete extends ChangeCommand {
  static override summary = 'Remove an instance, its files and its volumes, and give its GPUs back.'
  static override examples = [
    '<%= config.bin %> instance delete train',
    '<%= config.bin %> instance delete train --keep-volumes --yes',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {'keep-volumes': Flags.boolean({description: 'leave its data volume on the node'})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(InstanceDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const instance = await client.call('instances.get', {id}, {prepares: true})
      await this.consent(question(instance, flags['keep-volumes']), flags)
      const done = await client.call('instances.delete', {id: instance.id, keepVolumes: flags['keep-volumes']})
      this.say(`Instance ${instance.name} is deleted.`, instance)
      return done
    })
  }
}

function question({name, volumes = []}: Instance, keepsVolumes: boolean): string {
  const listed = volumes.map(volume => `${volume.name} (${volume.path})`).join(', ')
  const kept = listed && keepsVolumes ? ` Its volume ${listed} stays.` : ''
  const gone = listed && !keepsVolumes ? `, and its volume ${listed} with all data` : ''
  return `Delete instance ${name} and all that is written in it${gone}?${kept}`
}
