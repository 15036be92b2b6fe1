import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {usageError} from '../../cli/failure.ts'
import {taskFlags} from '../../cli/storage-words.ts'
import {followTask} from '../../cli/task-progress.ts'
import type {OutputOf} from '../../contract/contract.ts'

type Upgrade = OutputOf<'nodes.upgrade'>

export default class NodeUpgrade extends ChangeCommand {
  static override summary =
    'Give nodes a newer agent: the version of the server, one node first, then the others in waves.'
  static override description =
    'The server sends its own program over the link. The agent checks it, unpacks it in its own folder, beside the program that is installed there, and goes over to it; what runs on the node goes on. An agent that ends, or does not come back connected with that version within 90 s, goes back to the former one by itself; the task then fails, and later waves are left as they are. Nodes that run the version, or a newer one, are left out; of others that are left out it says why, and ends with 1.'
  static override examples = [
    '<%= config.bin %> node upgrade gpu-03 --wait --yes',
    '<%= config.bin %> node upgrade --all --dry-run',
    '<%= config.bin %> node upgrade --all --canary 2 --max-unavailable 10% --wait --yes',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'id or name; may be repeated'})}
  static override flags = {
    all: Flags.boolean({description: 'every admitted node'}),
    canary: Flags.integer({description: 'nodes of the first wave; 1 unless given, 0 for none', min: 0, max: 100}),
    'max-unavailable': Flags.string({
      description: 'nodes at once in the later waves, as 3 or 10%; 10% unless given, and at least one',
      helpValue: '<count|percent>',
    }),
    wait: taskFlags.wait,
  }

  async run(): Promise<Upgrade> {
    const {argv, flags} = await this.parse(NodeUpgrade)
    const nodes = argv.map(String)
    if (nodes.length > 0 === flags.all) throw usageError('Which nodes?', 'Name them, or give --all.')
    const client = this.client(flags)
    const wish = {
      ...(flags.all ? {all: true} : {nodes}),
      ...{canary: flags.canary, maxUnavailable: flags['max-unavailable']},
    }
    if (flags['dry-run'] || !flags.yes) {
      const plan = await client.call('nodes.upgrade', {...wish, dryRun: true}, {prepares: !flags['dry-run']})
      const {version, waves} = plan
      const isAny = waves.length > 0
      if (flags['dry-run']) {
        for (const [index, wave] of waves.entries())
          this.log(`Wave ${index + 1}: ${wave.join(', ')} would be upgraded to ${version}.`)
        this.#tellSkipped(plan)
        if (isAny) process.exitCode = exitCode.differs
        return plan
      }
      const words = waves.map(wave => wave.join(', ')).join('; then ')
      if (isAny) await this.consent(`Upgrade the agents to ${version}, wave by wave? ${words}.`, flags)
    }
    const begun = await client.call('nodes.upgrade', wish)
    const {task, version, waves} = begun
    this.#tellSkipped(begun)
    if (task === null) return begun
    if (!flags.wait) {
      this.say(`Upgrading ${waves.flat().length} agents to ${version}: task ${task.number}.`, {id: task.id})
      this.hint(`Follow it with \`gpuctl task wait ${task.number}\`.`)
      return begun
    }
    const ended = await followTask(client, task.id, {timeoutMs: flags.timeout, quiet: this.mode.quiet})
    this.say(`${waves.flat().join(', ')}: upgraded to ${version}.`, {id: task.id})
    return {...begun, task: ended}
  }

  /** Where a node could not be helped from here the command fails; that it is up to date is no failure. */
  #tellSkipped({skipped, waves}: Upgrade): void {
    for (const {node, reason} of skipped) this.logToStderr(`Left out: ${node}: ${reason}.`)
    if (skipped.length === 0 && waves.length === 0) this.logToStderr('There are no nodes.')
    if (skipped.some(({isCurrent}) => !isCurrent)) process.exitCode = exitCode.failure
  }
}
