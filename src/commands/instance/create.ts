import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {claimFlags, nameAndCommand, readClaim} from '../../cli/claim-input.ts'
import {followClaim} from '../../cli/claim-progress.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

const {name, node, env, label, restart, volume} = claimFlags

export default class InstanceCreate extends ChangeCommand {
  static override summary = 'Create an instance from an image and a spec of the catalogue.'
  static override examples = [
    '<%= config.bin %> instance create dev --image cuda --spec small',
    '<%= config.bin %> instance create --image cuda --spec small --wait -- sleep infinity',
  ]
  static override args = {name: Args.string({description: 'name of the instance; made up unless given'})}
  static override strict = false
  static override flags = {
    ...{name, node, env, label, restart, volume, 'env-file': claimFlags['env-file']},
    image: Flags.string({description: 'image of the catalogue, or an address', required: true}),
    spec: Flags.string({description: 'spec of the catalogue', required: true}),
    remark: Flags.string({description: 'a note to yourself'}),
    wait: Flags.boolean({description: 'until it runs', allowNo: true}),
  }

  async run(): Promise<Instance> {
    const {flags, argv} = await this.parse(InstanceCreate)
    const {image, spec, remark} = flags
    const {name: typed, command} = nameAndCommand(argv as string[], this.argv)
    const wanted = await readClaim({...flags, name: typed ?? flags.name}, command)
    const client = this.client(flags)
    const created = await client.call('instances.create', {...wanted, image, spec, remark})
    if (flags.wait)
      await followClaim(client, created.claimId, {
        until: 'running',
        called: created.claim,
        timeoutMs: flags.timeout,
        quiet: this.mode.quiet,
      })
    const instance = flags.wait ? await client.call('instances.get', {id: created.id}) : created
    this.say(`${instance.name} is ${instance.status}.`, instance)
    this.hint(`Next: gpuctl logs -f ${instance.name}`)
    return instance
  }
}
