import {Args, Flags} from '@oclif/core'
import {isMachine} from '../cli/global-flags.ts'
import {encodeList} from '../cli/output/listing.ts'
import {Redraw} from '../cli/output/redraw.ts'
import {followStats, readTarget, type StatsRow, statsColumns} from '../cli/stats-feed.ts'
import {StreamCommand} from '../cli/stream-command.ts'
import {isTerminal} from '../cli/terminal.ts'

export default class Stats extends StreamCommand {
  static override summary = 'Follow what nodes, GPUs and instances use.'
  static override description =
    'Nothing named: all nodes, and your running instances (the 50 newest). A name alone is that of an instance. At a terminal the screen is drawn anew; with -o json each row of a reading is a line of JSON. More figures of one kind have `gpuctl node stats`, `gpuctl gpu stats` and `gpuctl instance stats`.'
  static override examples = [
    '<%= config.bin %> stats --once',
    '<%= config.bin %> stats train instance/web --once',
    '<%= config.bin %> stats --once -o json',
  ]
  static override strict = false
  static override args = {
    object: Args.string({description: 'node/NAME, gpu/NODE:INDEX, instance/NAME; may be repeated'}),
  }
  static override flags = {
    once: Flags.boolean({description: 'one reading, then end'}),
    interval: Flags.integer({description: 'seconds between two readings', min: 1, max: 60}),
  }

  async run(): Promise<StatsRow[] | undefined> {
    const {argv, flags} = await this.parse(Stats)
    const targets = (argv as string[]).map(readTarget)
    const client = this.client(flags)
    const {once, interval} = flags
    const isDrawn = !once && this.mode.format === undefined && !this.mode.quiet && isTerminal(process.stdout)
    const screen = isDrawn ? new Redraw(process.stdout) : undefined
    return this.untilInterrupted(async signal => {
      for await (const rows of followStats(client, targets, {interval, signal})) {
        if (screen) await screen.draw((await encodeList(rows, statsColumns, this.mode)) ?? 'There is nothing.\n')
        else if (!isMachine(this.mode.format)) await this.list(rows, statsColumns, 'There is nothing.')
        else if (!once) for (const row of rows) await this.emit(row, () => '')
        if (once) return rows
      }
      return undefined
    })
  }
}
