import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {machineFlags, readMachine} from '../../cli/machine-input.ts'
import type {OutputOf} from '../../contract/contract.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeAdd extends ChangeCommand {
  static override summary =
    'Add a machine without an agent: by its Docker, over mutual TLS, or to a cluster of Proxmox VE.'
  static override description =
    'The engine is asked at once (10 s at most); the node is added whether it answers or not, and asked again every 30 s. ' +
    'With --master-ip the machine of --private-ip joins the cluster of that node, over SSH from there: ' +
    'its host key must be known on that node, a password stands in GPUCTL_CLUSTER_PASSWORD of its agent.'
  static override examples = [
    '<%= config.bin %> node add rack-7 --docker tcp://10.0.0.7:2376 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem',
    '<%= config.bin %> node add pve-node-03 --private-ip 192.168.3.10 --master-ip 192.168.3.5',
    '<%= config.bin %> node add here --docker unix:///var/run/docker.sock --gpu-model RTX4090 --gpu-count 2',
  ]
  static override args = {name: Args.string({description: 'name of the node', required: true})}
  static override flags = {
    ...machineFlags,
    'master-ip': Flags.string({description: 'a node of the cluster that it joins', helpValue: '<address>'}),
  }

  async run(): Promise<Node | OutputOf<'members.add'>> {
    const {args, flags} = await this.parse(NodeAdd)
    const {'master-ip': master, 'private-ip': address, docker} = flags
    if (master !== undefined) {
      if (address === undefined) throw usageError('--master-ip needs the address of the machine.', 'Give --private-ip.')
      const begun = await this.client(flags).call('members.add', {name: args.name, address, master})
      this.say(`${args.name} joins the cluster of ${master}: task ${begun.task.number}.`, {id: begun.task.id})
      this.hint(`Follow it with \`gpuctl task wait ${begun.task.number}\`.`)
      return begun
    }
    if (docker === undefined) throw usageError('Where is its Docker?', 'Give --docker, or --master-ip for a cluster.')
    const node = await this.client(flags).call('nodes.add', {name: args.name, ...(await readMachine(flags)), docker})
    this.say(`Added ${node.name}; its Docker ${engineWords[node.dockerStatus]}.`, node)
    const next = node.dockerStatus === 'connected' ? 'get' : 'test'
    this.hint(`Next: gpuctl node ${next} ${node.name}`)
    return node
  }
}

const engineWords = {connected: 'answers', failed: 'does not answer', unknown: 'was not asked'}
