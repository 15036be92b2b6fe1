import {Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {claimFlags, commandOf, readClaim} from '../../cli/claim-input.ts'
import {exitCodeOfClaim, followClaim, isFinal} from '../../cli/claim-progress.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {wantedGpus} from '../../cli/listings.ts'
import type {Client} from '../../client/client.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimSubmit extends ChangeCommand {
  static override summary = 'Ask for GPUs: the claim is queued and becomes a running instance as soon as they are free.'
  static override description =
    'The command of the workload stands behind `--`. With --wait it returns when the instance runs; where the workload has ended by then, with its exit code. --logs stays for the output; Ctrl-C leaves the claim as it is.'
  static override examples = [
    '<%= config.bin %> claim submit --image nvidia/cuda:12.0-runtime-ubuntu22.04 --gpus 1 --wait -- nvidia-smi',
    '<%= config.bin %> claim submit --image pytorch --gpus 2 --gpu-model 4090 --name train -e EPOCHS=9 -- python train.py',
    '<%= config.bin %> claim submit --image pytorch --gpus 1 --volume datasets:/data:ro -- python train.py',
    '<%= config.bin %> claim submit -f train.yml --wait --for completed -o json',
  ]
  static override strict = false
  static override flags = {
    ...claimFlags,
    'no-queue': Flags.boolean({description: 'refuse at once when nothing is free for it now (exit 6)'}),
    wait: Flags.boolean({description: 'until it runs', allowNo: true}),
    logs: Flags.boolean({
      description: 'wait for it, print its output to the end, and end with its exit code',
      exclusive: ['for'],
    }),
    for: Flags.option({
      description: 'what --wait waits for',
      options: ['running', 'completed'] as const,
      default: 'running' as const,
    })(),
  }

  async run(): Promise<Claim | undefined> {
    const {flags, argv} = await this.parse(ClaimSubmit)
    const spec = await readClaim(flags, commandOf(argv as string[], this.argv))
    const client = this.client(flags)
    const submitted = await client.call('claims.submit', {
      ...spec,
      noQueue: flags['no-queue'] || undefined,
    })
    if (flags['dry-run']) {
      process.exitCode = exitCode.differs
      this.say(
        `Claim ${submitted.name} would be accepted: ${wantedGpus(submitted.spec)} GPUs. Nothing was submitted.`,
        submitted,
      )
      return submitted
    }
    if (!flags.wait && !flags.logs) {
      this.say(`Claim ${submitted.name} is queued.`, submitted)
      this.hint(`Next: gpuctl claim explain ${submitted.name}  ·  gpuctl logs -f ${submitted.name}`)
      return submitted
    }
    const claim = await followClaim(client, submitted.id, {
      until: flags.for,
      called: submitted.name,
      timeoutMs: flags.timeout,
      quiet: this.mode.quiet,
    })
    if (flags.logs) {
      process.exitCode = await this.#output(client, claim)
      return undefined
    }
    this.say(sentence(claim), claim)
    if (isFinal(claim)) process.exitCode = exitCodeOfClaim(claim)
    else this.hint(`Next: gpuctl logs -f ${claim.name}  ·  gpuctl exec ${claim.name} -- sh`)
    return claim
  }

  async #output(client: Client, claim: Claim): Promise<number> {
    const {followOutput} = await import('../../cli/logs-command.ts')
    const ended = await followOutput(client, claim.instanceId, this.mode.format)
    if (ended === undefined) {
      this.hint(`It goes on: gpuctl logs -f ${claim.name}  ·  gpuctl claim cancel ${claim.name}`)
      return exitCode.interrupted
    }
    const {status} = await client.call('claims.get', {id: claim.id})
    return exitCodeOfClaim({...claim, status}) || ended
  }
}

function sentence({name, status}: Claim): string {
  if (status.phase === 'Running') return `${name} runs on ${status.nodeName}.`
  const code = status.exitCode === null ? '' : ` with exit code ${status.exitCode}`
  return `${name} is ${status.phase}${code}${status.reason ? `: ${status.reason}` : ''}.`
}
