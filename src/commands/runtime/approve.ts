import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'

export default class RuntimeApprove extends BaseCommand {
  static override summary = 'Let the /v1 proxy ask a waiting inference runtime.'
  static override description =
    'It asks first. If the machine of the runtime still waits to join, it is admitted with it. A runtime that registers again, as it does at every start, waits again.'
  static override examples = [
    '<%= config.bin %> runtime approve server-01',
    '<%= config.bin %> runtime approve 4f1c --yes -o json',
  ]
  static override args = {runtime: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Runtime> {
    const {args, flags} = await this.parse(RuntimeApprove)
    await this.consent(`Let the proxy ask ${args.runtime}?`, flags)
    const runtime = await this.client(flags).call('runtimes.approve', {id: args.runtime})
    const where = `${runtime.address}, port ${runtime.apiPort}`
    this.say(`Approved ${runtime.name} at ${where}: ${runtime.status}, ${runtime.models.join(', ')}.`, runtime)
    return runtime
  }
}
