import {Args, Flags} from '@oclif/core'
import {DoctorCommand, fixFlag} from '../../cli/doctor/doctor-command.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import type {GlobalFlags} from '../../cli/global-flags.ts'
import {followTasks} from '../../cli/task-progress.ts'
import type {Client} from '../../client/client.ts'
import type {Finding} from '../../contract/finding.ts'

export default class NodeDoctor extends DoctorCommand {
  static override summary =
    'Look at a node through the server: link, runtime, GPUs, disk, and what its agent finds there.'
  static override description =
    'Ends with 1 where there is an error. With --fix the agent mends what it can without losing anything: files of its own that others can read, what an agent that was killed left behind, pools, exports and mounts that are not in their places. It asks before; the repair is a task, and goes on at Ctrl-C. What only the machine itself tells (GPU driver, container toolkit) says `gpuctl agent doctor` there.'
  static override examples = [
    '<%= config.bin %> node doctor gpu-03',
    '<%= config.bin %> node doctor gpu-03 -o json',
    '<%= config.bin %> node doctor gpu-03 --fix --dry-run',
    '<%= config.bin %> node doctor gpu-03 --fix --yes',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {
    ...fixFlag,
    'dry-run': Flags.boolean({char: 'n', description: 'with --fix: say what would be mended, do nothing; exit 10'}),
  }

  async run(): Promise<Finding[]> {
    const {args, flags} = await this.parse(NodeDoctor)
    const {asFinding, examineNode, withOutcome} = await import('../../cli/doctor/node-checks.ts')
    const client = this.client(flags)
    const before = await examineNode(client, args.node)
    const mendable = before.filter(({canMend}) => canMend)
    if (!flags.fix || mendable.length === 0) return this.report(before.map(asFinding), {})
    const checks = [...new Set(mendable.map(({check}) => check))]
    if (flags['dry-run']) {
      const found = await this.report(before.map(asFinding), {})
      for (const {check, fix} of mendable) this.logToStderr(`Would be mended: ${check}: ${fix}`)
      process.exitCode = exitCode.differs
      return found
    }
    const reasons = mendable.map(({check, message}) => `${check}: ${message}`)
    await this.consent(`Let the agent of ${args.node} mend this? ${reasons.join(' ')}`, flags)
    const failures = await this.#mend(client, {id: args.node, checks}, flags)
    const after = await examineNode(client, args.node)
    return this.report(withOutcome({before, after, failures}).map(asFinding), {})
  }

  /** Why something was not mended; '' where all was. */
  async #mend(client: Client, input: {id: string; checks: string[]}, {timeout}: GlobalFlags): Promise<string> {
    const {task} = await client.call('nodes.repair', input)
    const [ended] = await followTasks(client, [task], {timeoutMs: timeout, quiet: this.mode.quiet})
    return ended?.status === 'failed' ? (ended.error?.message ?? ended.message) : ''
  }
}
