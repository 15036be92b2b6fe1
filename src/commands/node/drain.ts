import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {fatesInWords} from '../../cli/drain-words.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure} from '../../cli/failure.ts'
import {durationFlag} from '../../cli/units.ts'
import {waitFor} from '../../cli/wait.ts'
import type {Client} from '../../client/client.ts'
import type {OutputOf} from '../../contract/contract.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

type Drained = OutputOf<'nodes.drain'>

export default class NodeDrain extends ChangeCommand {
  static override summary = 'Give a node no new work, and its work away, before you work on it.'
  static override description =
    'Claims that restart and may run elsewhere go back to the queue; the others may finish. With --deadline they have so long; what then still runs stays, and the drain is unfinished. With --force it is ended instead, without --deadline at once. `gpuctl node uncordon` ends a drain and gives the node work again; what has left does not come back.'
  static override examples = [
    '<%= config.bin %> node drain gpu-03 --dry-run',
    '<%= config.bin %> node drain gpu-03 --deadline 2h --wait',
    '<%= config.bin %> node drain gpu-03 --force --reason "new fans" --yes',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {
    deadline: durationFlag({description: 'time for what cannot go elsewhere to finish'}),
    force: Flags.boolean({description: 'end what has not finished by the deadline'}),
    reason: Flags.string({description: 'shown to whoever looks at the node'}),
    wait: Flags.boolean({description: 'until nothing runs there', allowNo: true}),
  }

  async run(): Promise<Drained> {
    const {args, flags} = await this.parse(NodeDrain)
    const client = this.client(flags)
    const wish = {
      id: args.node,
      reason: flags.reason,
      force: flags.force || undefined,
      deadlineSeconds: flags.deadline === undefined ? undefined : Math.max(1, Math.round(flags.deadline / 1000)),
    }
    const words = (work: Drained['work']) =>
      fatesInWords(work, {atDeadline: flags.deadline !== undefined}) || 'nothing runs there'
    if (flags['dry-run'] || !flags.yes) {
      const plan = await client.call('nodes.drain', {...wish, dryRun: true}, {prepares: !flags['dry-run']})
      if (flags['dry-run']) {
        process.exitCode = exitCode.differs
        this.say(`${plan.node.name} would take no new work; ${words(plan.work)}.`, plan.node)
        return plan
      }
      await this.consent(`Drain ${plan.node.name}? It takes no new work; ${words(plan.work)}.`, flags)
    }
    const begun = await client.call('nodes.drain', wish)
    this.say(`${begun.node.name} takes no new work; ${words(begun.work)}.`, begun.node)
    if (!flags.wait) {
      this.hint(`Follow it with \`gpuctl wait node/${begun.node.name} --for drained --timeout 2h\`.`)
      return begun
    }
    const node = await this.#follow(client, begun.node, flags.timeout)
    this.say(`${node.name} is drained.`, node)
    return {...begun, node}
  }

  /** Until nothing runs there; a drain that ends otherwise is a failure. */
  #follow(client: Client, {id, name}: Node, timeoutMs: number | undefined): Promise<Node> {
    return waitFor<Node>({
      look: signal => client.call('nodes.get', {id}, {signal}),
      isDone: ({drain}) => {
        if (drain?.state === 'drained') return true
        if (drain?.state === 'draining') return false
        const words = drain === null ? 'takes work again' : `is not empty: ${drain.left} still run there`
        throw new Failure('drain_unfinished', `${name} ${words}.`, {
          hint: drain === null ? undefined : `End them with \`gpuctl node drain ${name} --force\`.`,
          exitCode: exitCode.failure,
        })
      },
      describe: async ({drain}, signal) => {
        const [last] = await client.call('events.list', {kind: 'node', object: id, limit: 1}, {signal})
        return last?.type === 'Draining' ? last.message : `${name} is being drained: ${drain?.left} left`
      },
      goOn: `gpuctl wait node/${name} --for drained`,
      timeoutMs,
      quiet: this.mode.quiet,
    })
  }
}
