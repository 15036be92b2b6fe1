import {Args} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeLabel extends ChangeCommand {
  static override summary = 'Set or take away labels of a node; the others stay.'
  static override examples = [
    '<%= config.bin %> node label gpu-03 rack=7 zone=a',
    '<%= config.bin %> node label gpu-03 zone-   # takes the label zone away',
  ]
  static override strict = false
  static override args = {
    node: Args.string({description: 'id or name', required: true}),
    label: Args.string({
      description: 'KEY=VALUE to set, KEY- to take away; may be repeated',
      required: true,
      ignoreStdin: true,
    }),
  }

  async run(): Promise<Node> {
    const {args, flags, argv} = await this.parse(NodeLabel)
    const changes = (argv as string[]).slice(1).map(readChange)
    const client = this.client(flags)
    const labels = {...(await client.call('nodes.get', {id: args.node})).labels}
    for (const [key, value] of changes) {
      if (value === undefined) delete labels[key]
      else labels[key] = value
    }
    const node = await client.call('nodes.update', {id: args.node, labels})
    const said = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`)
    this.say(`${node.name} has ${said.length > 0 ? said.join(', ') : 'no labels'}.`, node)
    return node
  }
}

function readChange(word: string): [key: string, value: string | undefined] {
  const at = word.indexOf('=')
  if (at > 0) return [word.slice(0, at), word.slice(at + 1)]
  if (at < 0 && /.-$/.test(word)) return [word.slice(0, -1), undefined]
  throw usageError(`LABEL: ${word} is no label.`, 'Write KEY=VALUE to set one, KEY- to take one away.')
}
