import {Args, Flags} from '@oclif/core'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure} from '../../cli/failure.ts'
import {isMachine} from '../../cli/global-flags.ts'
import {GpuHistory, type GpuReading, gpuReadings, gpuStatsColumns} from '../../cli/gpu-readings.ts'
import {encodeList} from '../../cli/output/listing.ts'
import {Redraw} from '../../cli/output/redraw.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import {isTerminal} from '../../cli/terminal.ts'

export default class GpuStats extends StreamCommand {
  static override summary = 'Follow the load of GPUs.'
  static override description =
    'Without a GPU: all of them. At a terminal the screen is drawn anew with the latest loads of each as blocks; in a pipe each reading is rows, with -o json each GPU of a reading is a line of JSON.'
  static override examples = [
    '<%= config.bin %> gpu stats --once',
    '<%= config.bin %> gpu stats gpu-03:0 gpu-03:1 --interval 5 --once',
    '<%= config.bin %> gpu stats --once -o json',
  ]
  static override strict = false
  static override args = {gpu: Args.string({description: 'NODE:INDEX, or UUID; may be repeated'})}
  static override flags = {
    once: Flags.boolean({description: 'one reading, then end'}),
    interval: Flags.integer({description: 'seconds between two readings', min: 1, max: 60}),
  }

  async run(): Promise<GpuReading[] | undefined> {
    const {argv, flags} = await this.parse(GpuStats)
    const wanted = argv as string[]
    const client = this.client(flags)
    const {interval, once} = flags
    const isDrawn = !once && this.mode.format === undefined && !this.mode.quiet && isTerminal(process.stdout)
    const screen = isDrawn ? new Redraw(process.stdout) : undefined
    const history = screen && new GpuHistory()
    return this.untilInterrupted(async signal => {
      for await (const {event, data} of client.events('nodes.statsOfAll', {interval}, {signal})) {
        if (event !== 'message') continue
        const readings = gpuReadings(data.nodes, wanted)
        if (wanted.length > 0 && readings.length === 0) throw unknown(wanted)
        history?.add(readings)
        const columns = gpuStatsColumns(history)
        if (screen) await screen.draw((await encodeList(readings, columns, this.mode)) ?? 'There are no GPUs.\n')
        else if (!isMachine(this.mode.format)) await this.list(readings, columns, 'There are no GPUs.')
        else if (!once) for (const one of readings) await this.emit(one, () => '')
        if (once) return readings
      }
      return undefined
    })
  }
}

function unknown(names: readonly string[]): Failure {
  return new Failure('not_found', `No GPU ${names.join(', ')} is heard now.`, {
    hint: 'Name it as NODE:INDEX or by its UUID; list them with `gpuctl gpu list -o wide`.',
    exitCode: exitCode.notFound,
  })
}
