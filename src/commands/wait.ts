import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {Failure} from '../cli/failure.ts'
import {waitFor} from '../cli/wait.ts'
import {readObject, type Seen, seeObject} from '../cli/waitable.ts'

export default class Wait extends BaseCommand {
  static override summary = 'Wait until a node, claim or instance is in a state.'
  static override description =
    'Nodes: online, stale, offline, approved, drained, deleted. Claims: pending, scheduled, running, completed, failed, released. Instances: running, exited, failed, deleted. Ends with 1 where the state can no longer come, with 124 after --timeout (30s unless given, 0 looks once).'
  static override examples = [
    '<%= config.bin %> wait node/gpu-03 --for online --timeout 30s',
    '<%= config.bin %> wait claim/train --for completed --timeout 2h',
    '<%= config.bin %> wait instance/a instance/b --for running',
  ]
  static override strict = false
  static override args = {object: Args.string({description: 'KIND/NAME; may be repeated', required: true})}
  static override flags = {for: Flags.string({description: 'the state', required: true, helpValue: '<state>'})}

  async run(): Promise<Seen[]> {
    const {flags, argv} = await this.parse(Wait)
    const client = this.client(flags)
    const objects = (argv as string[]).map(text => readObject(text, flags.for))
    const endsAt = performance.now() + (flags.timeout ?? 30_000)
    const found: Seen[] = []
    for (const object of objects) {
      const {kind, name, state} = object
      const seen = await waitFor<Seen>({
        look: signal => seeObject(client, object, signal),
        isDone: ({states, isOver, state: now}) => {
          if (states.includes(state)) return true
          if (!isOver) return false
          const hint = `See it with \`gpuctl ${kind} get ${name}\`.`
          throw new Failure('state_impossible', `${kind} ${name} is ${now} and will not be ${state}.`, {
            hint,
            exitCode: exitCode.failure,
          })
        },
        describe: ({state: now}) => `Waiting for ${kind} ${name}: ${now}`,
        goOn: `gpuctl wait ${kind}/${name} --for ${state}`,
        timeoutMs: flags.timeout === 0 ? 0 : Math.max(1, endsAt - performance.now()),
        quiet: this.mode.quiet,
      })
      this.say(`${kind} ${name} is ${seen.state}.`, seen)
      found.push(seen)
    }
    return found
  }
}
