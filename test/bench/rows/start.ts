import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {openStore} from '../../../src/store/open.ts'
import {median, percentile, round} from '../figures.ts'
import {placementSpec} from '../placement-fleet.ts'
import {type Measurement, type Row, type RowContext, verdict} from '../row.ts'
import {ServerProcess} from '../server-process.ts'
import {storeFile} from '../store-check.ts'
import {writeWaitingClaims} from '../waiting-claims.ts'

/** P14: from the start of the process to listening, against the start of Node alone. */
export const start: Row = {
  name: 'start',
  budgets: 'P14',
  async measure(context) {
    const data = join(context.folder, 'data')
    // The first start makes keys and a store; the budget is about all later ones.
    const first = await ServerProcess.start({program: context.program, data})
    await first.stop()
    const empty = await measureStarts(context, data, 'an empty store', 6)
    const claims = context.quick ? 1_000 : 100_000
    context.progress(`${claims} claims are written`)
    await writeClaims(storeFile(data), claims)
    return [empty, await measureStarts(context, data, `${claims.toLocaleString('en-US')} waiting claims`, 15)]
  },
}

async function measureStarts(context: RowContext, data: string, what: string, limit: number): Promise<Measurement> {
  const bareMs: number[] = []
  const oursMs: number[] = []
  for (let pair = 0; pair < (context.quick ? 3 : 11); pair++) {
    bareMs.push(await startNode())
    const server = await ServerProcess.start({program: context.program, data})
    oursMs.push(server.readyAfterMs)
    await server.stop()
  }
  const ratio = median(oursMs) / median(bareMs)
  return {
    what: `server start to listening, ${what}`,
    baseline: `${round(median(bareMs))} ms: node -e 0`,
    ours: `${round(median(oursMs))} ms (slowest ${round(percentile(oursMs, 1))})`,
    ratio,
    budget: `≤ ${limit} ×`,
    verdict: verdict(ratio <= limit, context),
  }
}

function startNode(): Promise<number> {
  const since = performance.now()
  const child = spawn(process.execPath, ['-e', '0'], {stdio: 'ignore', env: {PATH: process.env.PATH}})
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => resolve(performance.now() - since))
  })
}

async function writeClaims(file: string, count: number): Promise<void> {
  const store = await openStore({
    at: file,
    onFatal: error => {
      throw error
    },
  })
  try {
    const [owner] = await store.users.list()
    await writeWaitingClaims(store, owner!, count, placementSpec)
  } finally {
    await store.close()
  }
}
