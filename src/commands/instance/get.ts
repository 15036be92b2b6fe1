import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {gpuSummary, memory} from '../../cli/output/figures.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceGet extends GetCommand {
  static override summary = 'Show one instance.'
  static override examples = ['<%= config.bin %> instance get train', '<%= config.bin %> instance get train -o json']
  static override args = {instance: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Instance> {
    const {args, flags} = await this.parse(InstanceGet)
    const instance = await this.client(flags).call('instances.get', {id: args.instance})
    return this.show(instance, [
      ['Name', instance.name],
      ['Status', instance.status],
      ['Reason', instance.reason],
      ['Exit code', instance.exitCode],
      ['Node', instance.node],
      ['GPUs', gpuSummary(instance.gpus) + shareWords(instance)],
      ['CPUs', instance.cpus ?? null],
      ['Memory', instance.memoryMiB === undefined ? null : memory(instance.memoryMiB)],
      ['Image', instance.image],
      ['Snapshot', restoreWords(instance)],
      ['Spec', instance.catalogueSpec?.name ?? null],
      ['Volumes', (instance.volumes ?? []).map(({name, path}) => `${name} (${path})`).join(', ')],
      ['Runtime', instance.runtime],
      ['Container', instance.containerName],
      ['Claim', instance.claim],
      ['Restarts', instance.restarts],
      ['Warnings', instance.warnings.join('; ')],
      ['Remark', instance.remark],
      [
        'Labels',
        Object.entries(instance.labels)
          .map(pair => pair.join('='))
          .join(', '),
      ],
      ['Owner', instance.owner],
      ['Created', instance.createdAt],
      ['Started', instance.startedAt],
      ['Finished', instance.finishedAt],
      ['Id', instance.id],
    ])
  }
}

/** Of each card. */
function shareWords({gpus}: Instance): string {
  const share = gpus[0]?.share
  return share ? `, ${memory(share.memoryMiB)} and ${share.percent} % of each` : ''
}

/** What its container is made of in place of the image, and what came of the last restore where that is another. */
function restoreWords({madeOf, restore}: Instance): string {
  const last = restore && restore.state !== 'done' ? `restore of ${restore.snapshot} ${restore.state}` : ''
  return [madeOf?.snapshot ?? '', last, restore?.message ?? ''].filter(Boolean).join('; ')
}
