import {readFile} from 'node:fs/promises'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import {labelFlag, memoryFlag, readPairs} from '../../cli/units.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeAdd extends BaseCommand {
  static override summary = 'Add a machine without an agent: the server works on its Docker, over mutual TLS.'
  static override examples = [
    '<%= config.bin %> node add rack-7 --docker tcp://10.0.0.7:2376 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem',
    '<%= config.bin %> node add here --docker unix:///var/run/docker.sock --gpu-model RTX4090 --gpu-count 2',
  ]
  static override args = {name: Args.string({description: 'name of the node', required: true})}
  static override flags = {
    docker: Flags.string({description: 'its Docker Engine', helpValue: '<tcp://host:port>', required: true}),
    'tls-ca': Flags.string({description: 'PEM file of the authority of the engine', helpValue: '<file>'}),
    'tls-cert': Flags.string({description: 'PEM file of our certificate', helpValue: '<file>'}),
    'tls-key': Flags.string({description: 'PEM file of our key', helpValue: '<file>'}),
    'gpu-model': Flags.string({description: 'model of its GPUs, since nobody there reports them'}),
    'gpu-count': Flags.integer({description: 'how many', min: 0, max: 64}),
    'gpu-memory': memoryFlag({description: 'memory of one, as 24GiB'}),
    label: labelFlag,
  }

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeAdd)
    const node = await this.client(flags).call('nodes.add', {
      name: args.name,
      docker: flags.docker,
      ca: await readPem(flags['tls-ca']),
      cert: await readPem(flags['tls-cert']),
      key: await readPem(flags['tls-key']),
      gpuModel: flags['gpu-model'],
      gpuCount: flags['gpu-count'],
      gpuMemoryMiB: flags['gpu-memory'],
      labels: readPairs(flags.label, '--label'),
    })
    this.say(`Added ${node.name}; it is ${node.status}.`, node)
    this.hint(`Next: gpuctl node get ${node.name}`)
    return node
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(`${path} cannot be read: ${error.message}`)
  })
}
