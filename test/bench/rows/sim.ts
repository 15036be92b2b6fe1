import {setTimeout as pause} from 'node:timers/promises'
import {round} from '../figures.ts'
import {type Row, verdict} from '../row.ts'
import {cpuWhile, memoryMiB} from '../usage.ts'
import {serverWithFleet} from './fleet-server.ts'

/** P5: what a thousand machines that do nothing cost the server. */
export const sim: Row = {
  name: 'sim',
  budgets: 'P5',
  async measure(context) {
    const nodes = context.quick ? 50 : 1_000
    const forMs = context.quick ? 6_000 : 60_000
    const {server, connectedAfterMs} = await serverWithFleet(context, {nodes, gpus: 8, beatMs: 5_000})
    // What the joins left behind is not the cost of a quiet fleet.
    await pause(context.quick ? 1_000 : 10_000)
    context.progress(`${nodes} nodes beat for ${forMs / 1000} s`)
    const {percent} = await cpuWhile(server.pid, () => pause(forMs))
    const {now, peak} = memoryMiB(server.pid)
    return [
      {
        what: `${nodes} simulated nodes × 8 GPUs over real links, a beat in 5 s`,
        baseline: '–',
        ours: `${round(percent)} % of a core, ${round(now)} MiB (peak ${round(peak)}); all online after ${round(connectedAfterMs / 1000)} s`,
        ratio: undefined,
        budget: '≤ 8 % of a core, ≤ 200 MB',
        verdict: verdict(percent <= 8 && now * 1.048576 <= 200, context),
      },
    ]
  },
}
