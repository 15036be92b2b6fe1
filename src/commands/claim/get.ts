import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {wantedGpus} from '../../cli/listings.ts'
import {gpuSummary, memory} from '../../cli/output/figures.ts'
import type {Claim, ClaimSpec} from '../../contract/schemas/claims.ts'

export default class ClaimGet extends GetCommand {
  static override summary = 'Show one claim.'
  static override examples = ['<%= config.bin %> claim get train', '<%= config.bin %> claim get train -o json']
  static override args = {claim: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Claim> {
    const {args, flags} = await this.parse(ClaimGet)
    const claim = await this.client(flags).call('claims.get', {id: args.claim})
    const {spec, status} = claim
    await this.show(claim, [
      ['Name', claim.name],
      ['Phase', status.phase],
      ['Reason', status.reason],
      ['Position', status.position],
      ['Wants GPUs', wantedGpus(spec)],
      ['Wants memory', memory(spec.memoryMiB)],
      ['Image', spec.image],
      ['Command', (spec.command ?? []).join(' ')],
      ['Volumes', (spec.volumes ?? []).map(volumeWords).join(', ')],
      ['Node', status.nodeName],
      ['Has GPUs', gpuSummary(status.gpus)],
      ['Exit code', status.exitCode],
      ['Priority', spec.priority ?? 0],
      [
        'Labels',
        Object.entries(spec.labels ?? {})
          .map(pair => pair.join('='))
          .join(', '),
      ],
      ['Owner', claim.owner],
      ['Submitted', claim.createdAt],
      ['Started', status.startedAt],
      ['Finished', status.finishedAt],
      ['Id', claim.id],
    ])
    if (status.phase === 'Pending') this.hint(`Next: gpuctl claim explain ${claim.name}`)
    return claim
  }
}

/** As `--volume` takes it; the site by the beginning of its id. */
function volumeWords({site, path, readOnly}: NonNullable<ClaimSpec['volumes']>[number]): string {
  return `${site.slice(0, 8)}:${path}${readOnly ? ':ro' : ''}`
}
