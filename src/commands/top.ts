import type {ReadStream, WriteStream} from 'node:tty'
import {Flags} from '@oclif/core'
import type {GlobalFlags} from '../cli/global-flags.ts'
import {isMachine} from '../cli/global-flags.ts'
import {StreamCommand} from '../cli/stream-command.ts'
import {wantsColour} from '../cli/terminal.ts'
import type {FleetSnapshot} from '../cli/top/fleet.ts'

export default class Top extends StreamCommand {
  static override summary = 'Watch nodes, their GPUs, instances and the queue on one screen.'
  static override description =
    'At a terminal the screen is drawn anew each second: Tab goes from pane to pane, arrows choose a row, l shows logs, s opens a shell over SSH, k stops an instance, d drains a node (both ask), / filters, ? helps, q quits. Without a terminal each step is a line for each node, instance and waiting claim; with -o json or ndjson a line of JSON.'
  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top --once',
    '<%= config.bin %> top --interval 5 -o ndjson',
  ]
  static override flags = {
    once: Flags.boolean({description: 'one picture, then end'}),
    interval: Flags.integer({description: 'seconds between two readings', min: 1, max: 60, default: 1}),
  }

  async run(): Promise<FleetSnapshot | undefined> {
    const {flags} = await this.parse(Top)
    const isScreen = !flags.once && this.mode.format === undefined && !this.mode.quiet && hasScreen()
    if (isScreen) {
      process.exitCode = await this.#onScreen(flags)
      return undefined
    }
    const {followFleet} = await import('../cli/top/feed.ts')
    const {plainColumns, plainRows} = await import('../cli/top/plain.ts')
    const client = this.client(flags)
    return this.untilInterrupted(async signal => {
      for await (const snapshot of followFleet(client, {interval: flags.interval, signal})) {
        if (!isMachine(this.mode.format)) await this.list(plainRows(snapshot), plainColumns, 'There are no nodes.')
        else if (!flags.once) await this.emit(snapshot, () => '')
        if (flags.once) return snapshot
      }
      return undefined
    })
  }

  async #onScreen(flags: GlobalFlags & {interval: number}): Promise<number> {
    const {TopSession, runInTerminal} = await import('../cli/top/session.ts')
    const {loadPaint} = await import('../cli/output/paint.ts')
    const {default: widthOf} = await import('string-width')
    const {server, context, 'ca-cert': caCert} = flags
    const given = Object.entries({server, context, 'ca-cert': caCert})
    const same = given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]))
    return new TopSession({
      client: this.client(flags),
      server: this.choose(flags).server,
      interval: flags.interval,
      paint: await loadPaint(wantsColour(process.stdout, this.mode.colour)),
      widthOf,
      input: process.stdin as ReadStream,
      output: process.stdout as WriteStream,
      runHere: args => runInTerminal(this.program, [...args, ...same]),
    }).run()
  }
}

/** A real one on both sides, which can move its cursor. */
function hasScreen(): boolean {
  return Boolean(process.stdin.isTTY && process.stdout.isTTY) && process.env.TERM !== 'dumb'
}
