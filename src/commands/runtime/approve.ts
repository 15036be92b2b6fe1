import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'

export default class RuntimeApprove extends ChangeCommand {
  static override summary = 'Let the /v1 proxy ask a waiting inference runtime.'
  static override description =
    'It asks first. If the machine of the runtime still waits to join, it is admitted with it. A runtime that registers again, as it does at every start, waits again.'
  static override examples = [
    '<%= config.bin %> runtime approve server-01',
    '<%= config.bin %> runtime approve 4f1c --yes -o json',
  ]
  static override strict = false
  static override args = {runtime: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<Runtime>> {
    const {argv, flags} = await this.parse(RuntimeApprove)
    const client = this.client(flags)
    return this.each(argv, async id => {
      await this.consent(`Let the proxy ask ${id}?`, flags)
      const runtime = await client.call('runtimes.approve', {id})
      const where = `${runtime.address}, port ${runtime.apiPort}`
      this.say(`Approved ${runtime.name} at ${where}: ${runtime.status}, ${runtime.models.join(', ')}.`, runtime)
      return runtime
    })
  }
}
