import {dockerMissing, startDockerd} from '../../support/docker.ts'
import {ensureBusyboxImage} from '../../support/images.ts'
import {unmet} from '../../support/skips.ts'
import {benchFleet, capture, type Output} from '../docker-fleet.ts'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured, verdict} from '../row.ts'

const what = 'MB of instance logs, wall time'
const budget = '≤ 1.15 × through the Docker API, ≤ 0.25 × from the file'
const fromFile = 0.25

/** P11: all the output of a container, by our command and by Docker's own. */
export const logs: Row = {
  name: 'logs',
  budgets: 'P11',
  async measure(context) {
    const megabytes = context.quick ? 10 : 200
    const missing = (await dockerMissing()) ?? unmet('busybox')
    if (missing) return [unmeasured(`${megabytes} ${what}`, budget, missing)]
    const engine = await startDockerd({name: 'gpuctl-bench'})
    context.atEnd(() => engine.stop())
    await ensureBusyboxImage({socketPath: engine.socketPath})
    return [await compare(context, megabytes, engine.socketPath)]
  },
}

async function compare(context: RowContext, megabytes: number, socketPath: string): Promise<Measurement> {
  const {gpuctl, env} = await benchFleet(context, socketPath)
  context.progress(`a container writes ${megabytes} MB`)
  // 100 bytes a line with the line end.
  const script = `yes "$(printf '%099d' 0 | tr 0 x)" | head -c ${megabytes * 1_000_000}`
  const submit = [
    'claim',
    'submit',
    '--name',
    'logs',
    '--image',
    'gpuctl/busybox:1',
    '--wait',
    '--for',
    'completed',
    '-o',
    'json',
  ]
  await gpuctl(...submit, '--', 'sh', '-c', script)
  const {status} = JSON.parse((await gpuctl('claim', 'get', 'logs', '-o', 'json')).text) as {
    status: {containerId: string}
  }
  const docker: Output[] = []
  const ours: Output[] = []
  for (let pair = 0; pair < (context.quick ? 1 : 3); pair++) {
    docker.push(await capture('docker', ['logs', status.containerId], env, 'digest'))
    ours.push(await capture(process.execPath, [context.program, 'instance', 'logs', 'logs'], env, 'digest'))
  }
  const sums = new Set([...docker, ...ours].map(({md5}) => md5))
  if (sums.size !== 1) throw new Error(`The bytes differ: docker ${docker[0]!.bytes}, ours ${ours[0]!.bytes}.`)
  const seconds = (list: Output[]) => median(list.map(({ms}) => ms)) / 1000
  const ratio = seconds(ours) / seconds(docker)
  return {
    what: `${round(ours[0]!.bytes / 1e6)} ${what}; bytes equal`,
    baseline: `${round(seconds(docker))} s: docker logs`,
    ours: `${round(seconds(ours))} s`,
    ratio,
    budget,
    verdict: verdict(ratio <= 1.15, context),
    remark:
      ratio <= fromFile ? 'Within the budget of the file.' : 'Within the budget of the Docker API only, if at all.',
  }
}
