import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {machineFlags, readMachine} from '../../cli/machine-input.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeAdd extends BaseCommand {
  static override summary = 'Add a machine without an agent: the server works on its Docker, over mutual TLS.'
  static override description =
    'The engine is asked at once (10 s at most); the node is added whether it answers or not, and asked again every 30 s.'
  static override examples = [
    '<%= config.bin %> node add rack-7 --docker tcp://10.0.0.7:2376 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem',
    '<%= config.bin %> node add here --docker unix:///var/run/docker.sock --gpu-model RTX4090 --gpu-count 2',
  ]
  static override args = {name: Args.string({description: 'name of the node', required: true})}
  static override flags = {...machineFlags, docker: {...machineFlags.docker, required: true}}

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeAdd)
    const node = await this.client(flags).call('nodes.add', {name: args.name, ...(await readMachine(flags))})
    this.say(`Added ${node.name}; its Docker ${engineWords[node.dockerStatus]}.`, node)
    const next = node.dockerStatus === 'connected' ? 'get' : 'test'
    this.hint(`Next: gpuctl node ${next} ${node.name}`)
    return node
  }
}

const engineWords = {connected: 'answers', failed: 'does not answer', unknown: 'was not asked'}
