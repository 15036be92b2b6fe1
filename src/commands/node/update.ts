import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {machineFlags, readMachine} from '../../cli/machine-input.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeUpdate extends ChangeCommand {
  static override summary = 'Change what is said of a node.'
  static override description =
    'What no flag names stays as it is; an empty value takes it away. --label replaces all labels.'
  static override examples = [
    '<%= config.bin %> node update rack-7 --region eu-1 --no-listed',
    '<%= config.bin %> node update rack-7 --docker tcp://10.0.0.8:2376 --tls-key new-key.pem --tls-cert new-cert.pem',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {...machineFlags, name: Flags.string({description: 'its new name'})}

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeUpdate)
    const change = {name: flags.name, ...(await readMachine(flags))}
    if (Object.values(change).every(value => value === undefined)) {
      throw usageError('Nothing is to be changed.', 'Say what, as --region eu-1; see --help.')
    }
    const node = await this.client(flags).call('nodes.update', {id: args.node, ...change})
    this.say(`Changed ${node.name || node.hostname}.`, node)
    return node
  }
}
