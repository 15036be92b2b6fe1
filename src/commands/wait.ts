import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {Failure} from '../cli/failure.ts'
import {waitFor} from '../cli/wait.ts'
import {readObject, type Seen, seeObject, toldBy, type WaitObject} from '../cli/waitable.ts'
import {WakeEvents} from '../cli/wake-events.ts'
import type {Client} from '../client/client.ts'

/** Things that are looked at in one go. */
const atOnce = 16

export default class Wait extends BaseCommand {
  static override summary = 'Wait until things are in a state, or a jq program says so.'
  static override description =
    'Kinds are node, claim, instance, task, site, backup, runtime, pool, model, image and spec; their states are those that `get` shows, and deleted. Nodes can be waited for to be approved and drained, runtimes to be approved. jq=EXPR is any other thing: it is waited until the last word of the program is neither false nor null. Several are watched side by side, and each must get there. Ends with 1 where the state can no longer come, with 124 after --timeout (30s unless given, 0 looks once).'
  static override examples = [
    '<%= config.bin %> wait node/gpu-03 --for online --timeout 30s',
    '<%= config.bin %> wait claim/train --for completed --timeout 2h',
    '<%= config.bin %> wait instance/a instance/b --for running',
    "<%= config.bin %> wait node/gpu-03 --for jq='.gpusFree >= 2' --timeout 1h",
  ]
  static override strict = false
  static override args = {object: Args.string({description: 'KIND/NAME; may be repeated', required: true})}
  static override flags = {
    for: Flags.string({description: 'the state, or jq=EXPR', required: true, helpValue: '<state>'}),
  }

  async run(): Promise<Seen[]> {
    const {flags, argv} = await this.parse(Wait)
    const client = this.client(flags)
    const objects = (argv as string[]).map(text => readObject(text, flags.for))
    const found = new Map<WaitObject, Seen>()
    const waiting = () => objects.filter(object => !found.get(object)?.isThere)
    await waitFor<WaitObject[]>({
      look: async signal => {
        for (let from = 0, rest = waiting(); from < rest.length; from += atOnce) {
          const some = rest.slice(from, from + atOnce)
          await Promise.all(
            some.map(async object => this.#note(found, object, await seeObject(client, object, signal))),
          )
        }
        return waiting()
      },
      isDone: rest => rest.length === 0,
      describe: rest => `Waiting for ${inWords(rest, found)}`,
      goOn: `gpuctl wait ${argv.join(' ')} --for ${quoted(flags.for)}`,
      timeoutMs: flags.timeout ?? 30_000,
      quiet: this.mode.quiet,
      events: () => wakeFor(objects, client),
    })
    return objects.map(object => found.get(object) as Seen)
  }

  #note(found: Map<WaitObject, Seen>, object: WaitObject, seen: Seen): void {
    found.set(object, seen)
    const {kind, name} = object
    if (seen.isThere)
      this.say('state' in object.wish ? `${kind} ${name} is ${seen.state}.` : `${kind} ${name} is as asked.`, seen)
    else if (seen.isOver) {
      throw new Failure('state_impossible', `${kind} ${name} is ${seen.state} and will not be ${flagOf(object)}.`, {
        hint: `See it with \`gpuctl ${kind} get ${name}\`.`,
        exitCode: exitCode.failure,
      })
    }
  }
}

/** Undefined where one of them changes without an event. */
function wakeFor(objects: readonly WaitObject[], client: Client): WakeEvents | undefined {
  const kinds = objects.map(({kind}) => toldBy(kind))
  return kinds.every(({length}) => length > 0) ? new WakeEvents(kinds.flat(), client) : undefined
}

function flagOf({wish}: WaitObject): string {
  return 'state' in wish ? wish.state : `jq=${wish.jq}`
}

/** `node gpu-03: offline, claim train: pending and 7 more`. */
function inWords(rest: readonly WaitObject[], found: ReadonlyMap<WaitObject, Seen>): string {
  const shown = rest.slice(0, 3).map(object => `${object.kind} ${object.name}: ${found.get(object)?.state}`)
  return `${shown.join(', ')}${rest.length > 3 ? ` and ${rest.length - 3} more` : ''}`
}

function quoted(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
