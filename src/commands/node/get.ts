import {Args, Flags} from '@oclif/core'
import {drainWords} from '../../cli/drain-words.ts'
import {isMachine} from '../../cli/global-flags.ts'
import {GetCommand} from '../../cli/list-command.ts'
import {eventColumns} from '../../cli/listings.ts'
import {ago, gpuSummary, memory} from '../../cli/output/figures.ts'
import type {Node} from '../../contract/schemas/nodes.ts'
import type {Event} from '../../contract/schemas/server.ts'

const mostEvents = 10

export default class NodeGet extends GetCommand {
  static override summary = 'Show one node.'
  static override examples = [
    '<%= config.bin %> node get gpu-03',
    '<%= config.bin %> node get gpu-03 -o json',
    '<%= config.bin %> node get gpu-03 --events',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {
    events: Flags.boolean({description: 'what happened to it of late, too', exclusive: ['watch']}),
  }

  async run(): Promise<Node & {events?: Event[]}> {
    const {args, flags} = await this.parse(NodeGet)
    const client = this.client(flags)
    const node = await client.call('nodes.get', {id: args.node})
    await this.show(node, [
      ['Name', node.name || node.hostname],
      ['Status', `${node.status}${node.connected ? ', connected' : ''}`],
      ['Code', node.code],
      ['New work', node.schedulable ? 'yes' : `no${node.cordonReason ? `: ${node.cordonReason}` : ''}`],
      ['Drain', drainWords(node.drain)],
      ['GPUs', gpuSummary(node.gpus) || 'none'],
      ['Free GPUs', node.gpusFree],
      ['GPU state', node.gpuState === 'lost' ? `lost: ${node.gpuReason}` : node.gpuState],
      ['Runtime', `${node.runtime}, ${node.runtimeState}${node.runtimeReason ? `: ${node.runtimeReason}` : ''}`],
      ['CPUs', node.cpus],
      ['Memory', memory(node.memoryMiB)],
      ['System', `${node.os} ${node.architecture}`.trim()],
      ['Agent', node.agentVersion],
      [
        'Address',
        node.claimedAddress && node.claimedAddress !== node.address
          ? `${node.address} (says ${node.claimedAddress})`
          : node.address,
      ],
      ['Fingerprint', node.fingerprint],
      [
        'Labels',
        Object.entries(node.labels)
          .map(pair => pair.join('='))
          .join(', '),
      ],
      ...machineLines(node),
      ['Last seen', node.lastSeenAt],
      ['Id', node.id],
    ])
    if (!flags.events) return node
    const events = await client.call('events.list', {kind: 'node', object: node.id, limit: mostEvents})
    if (!isMachine(this.mode.format)) await this.list(events, eventColumns, 'Nothing is known to have happened to it.')
    return {...node, events}
  }
}

/** What the operator said of the machine. */
function machineLines({listed, listing, docker, dockerStatus, dockerCheckedAt, hamiCore}: Node): [string, string][] {
  const {region, publicIp, privateIp, cpu, memory: ram, systemDisk, dataDisk, remark} = listing
  const asked = dockerCheckedAt === null ? '' : ` (${ago(dockerCheckedAt)})`
  return [
    ['Listed', listed ? 'yes' : 'no'],
    ['Docker', docker ? `${docker.address} ${dockerStatus}${asked}` : ''],
    ['HAMi-core', hamiCore],
    ['Region', region],
    ['Addresses', [publicIp, privateIp].filter(Boolean).join(', ')],
    ['Hardware', [cpu, ram, systemDisk, dataDisk].filter(Boolean).join(', ')],
    ['Remark', remark],
  ]
}
