import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {dockerMissing, startDockerd} from '../../support/docker.ts'
import {ensureBusyboxImage} from '../../support/images.ts'
import {unmet} from '../../support/skips.ts'
import {benchFleet, capture, type Output} from '../docker-fleet.ts'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured} from '../row.ts'

/** Bytes through `exec`, and a file by `cp`, beside Docker's own commands. */
export const transfer: Row = {
  name: 'transfer',
  budgets: '',
  async measure(context) {
    const missing = (await dockerMissing()) ?? unmet('busybox')
    if (missing) return [unmeasured('exec cat and cp', '–', missing)]
    const engine = await startDockerd({name: 'gpuctl-bench'})
    context.atEnd(() => engine.stop())
    await ensureBusyboxImage({socketPath: engine.socketPath})
    return compare(context, engine.socketPath)
  },
}

async function compare(context: RowContext, socketPath: string): Promise<Measurement[]> {
  const {gpuctl, env} = await benchFleet(context, socketPath)
  const [execMegabytes, fileMegabytes] = context.quick ? [10, 4] : [200, 64]
  const submit = ['claim', 'submit', '--name', 'box', '--image', 'gpuctl/busybox:1', '--wait', '-o', 'json']
  await gpuctl(...submit, '--', 'sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.2; done')
  const {status} = JSON.parse((await gpuctl('claim', 'get', 'box', '-o', 'json')).text) as {
    status: {containerId: string}
  }
  const id = status.containerId
  const file = join(context.folder, 'file')
  await writeFile(file, Buffer.alloc(fileMegabytes * 1_000_000, 'gpuctl'))
  const big = join(context.folder, 'big')
  await writeFile(big, Buffer.alloc(execMegabytes * 1_000_000, 'gpuctl'))

  const docker = (...args: string[]) => capture('docker', args, env, 'digest')
  const ours = (...args: string[]) => capture(process.execPath, [context.program, ...args], env, 'digest')
  await docker('cp', big, `${id}:/tmp/big`)
  return [
    await line(context, `${execMegabytes} MB out of \`exec cat\``, {
      docker: () => docker('exec', id, 'cat', '/tmp/big'),
      ours: () => ours('exec', 'box', '--', 'cat', '/tmp/big'),
    }),
    await line(context, `${execMegabytes} MB into \`exec -i\``, {
      docker: () => capture('docker', ['exec', '-i', id, 'md5sum'], env, 'digest', big),
      ours: () => capture(process.execPath, [context.program, 'exec', '-i', 'box', 'md5sum'], env, 'digest', big),
    }),
    await line(context, `${fileMegabytes} MB by \`cp\` to the instance`, {
      docker: () => docker('cp', file, `${id}:/tmp/theirs`),
      ours: () => ours('-q', 'cp', file, 'box:/tmp/ours'),
    }),
    await line(context, `${fileMegabytes} MB by \`cp\` from the instance`, {
      docker: () => docker('cp', `${id}:/tmp/theirs`, join(context.folder, 'theirs')),
      ours: () => ours('-q', 'cp', 'box:/tmp/ours', join(context.folder, 'ours')),
    }),
  ]
}

async function line(
  context: RowContext,
  what: string,
  sides: {docker: () => Promise<Output>; ours: () => Promise<Output>},
): Promise<Measurement> {
  context.progress(what)
  const docker: Output[] = []
  const ours: Output[] = []
  for (let pair = 0; pair < (context.quick ? 1 : 3); pair++) {
    docker.push(await sides.docker())
    ours.push(await sides.ours())
  }
  const sums = new Set([...docker, ...ours].map(({md5}) => md5))
  if (sums.size !== 1) throw new Error(`${what}: the bytes differ.`)
  const seconds = (list: Output[]) => median(list.map(({ms}) => ms)) / 1000
  const ratio = seconds(ours) / seconds(docker)
  return {
    what: `${what}, wall time`,
    baseline: `${round(seconds(docker))} s: docker`,
    ours: `${round(seconds(ours))} s`,
    ratio,
    budget: '–',
    verdict: 'no budget',
  }
}
