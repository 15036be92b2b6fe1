import {spawn} from 'node:child_process'
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import ssh2 from 'ssh2'
import {dockerMissing, freePort, startDockerd} from '../../support/docker.ts'
import {ensureToolsImage, toolsImage} from '../../support/images.ts'
import {unmet} from '../../support/skips.ts'
import {eventually} from '../../support/wait.ts'
import {benchFleet, capture} from '../docker-fleet.ts'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured, verdict} from '../row.ts'
import {memoryMiB} from '../usage.ts'

const sshd = '/usr/sbin/sshd'

/** P12: the jump host against sshd of the same machine. */
export const ssh: Row = {
  name: 'ssh',
  budgets: 'P12',
  async measure(context) {
    const missing = (await dockerMissing()) ?? unmet('busybox', 'ssh', 'root') ?? (existsSync(sshd) ? '' : 'needs sshd')
    if (missing) return [unmeasured('SSH through the jump host', '≤ 0.5; ≥ 0.75', missing)]
    const place = await openPlace(context)
    return [
      await measureConnect(context, place),
      await measureStream(context, place),
      await measureFiles(context, place),
      await measureCrowd(context, place),
    ]
  },
}

type Place = Awaited<ReturnType<typeof openPlace>>

/** A fleet with one instance and the jump host, and sshd beside it, all for the same key. */
async function openPlace(context: RowContext) {
  const at = (name: string) => join(context.folder, name)
  const engine = await startDockerd({name: 'gpuctl-bench'})
  context.atEnd(() => engine.stop())
  await ensureToolsImage({socketPath: engine.socketPath})
  const port = await freePort()
  const {gpuctl, env} = await benchFleet(context, engine.socketPath, {sshPort: port})
  await gpuctl('claim', 'submit', '--name', 'work', '--image', toolsImage, '--wait', '--', 'sleep', '3600')
  await capture('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('id')], env)
  await gpuctl('key', 'add', at('id.pub'))
  const sshdPort = await startSshd(context, at, env)
  const {text} = await gpuctl('claim', 'get', 'work', '-o', 'json')
  const {status} = JSON.parse(text) as {status: {containerId: string}}
  const hosts = [
    `Host *\n IdentityFile ${at('id')}\n IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null`,
    ' LogLevel ERROR\n Ciphers aes128-gcm@openssh.com\n HostName 127.0.0.1',
    `Host ours\n Port ${port}\n User admin+work`,
    `Host sshd behind\n Port ${sshdPort}\n User root`,
    'Host behind\n ProxyJump sshd',
  ]
  writeFileSync(at('config-ssh'), `${hosts.join('\n')}\n`)
  const run = (program: string, ...args: string[]) => capture(program, args, env, 'digest')
  const {pid} = JSON.parse((await gpuctl('server', 'status', '-o', 'json')).text) as {pid: number}
  return {at, run, config: ['-F', at('config-ssh')], port, pid, containerId: status.containerId}
}

async function startSshd(context: RowContext, at: (name: string) => string, env: NodeJS.ProcessEnv): Promise<number> {
  const port = await freePort()
  writeFileSync(at('authorized'), readFileSync(at('id.pub')), {mode: 0o600})
  await capture('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')], env)
  await capture('mkdir', ['-p', '/run/sshd'], env)
  const settings = [`AuthorizedKeysFile=${at('authorized')}`, 'StrictModes=no', 'UsePAM=no', 'ListenAddress=127.0.0.1']
  const options = settings.flatMap(setting => ['-o', setting])
  const args = ['-D', '-f', '/dev/null', '-h', at('host'), '-p', String(port), ...options]
  const child = spawn(sshd, args, {stdio: 'ignore'})
  context.atEnd(() => child.kill())
  const banner = `echo | timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; head -c 4 <&3'`
  await eventually(async () => (await capture('sh', ['-c', banner], env)).text === 'SSH-')
  return port
}

async function measureConnect(context: RowContext, {run, config}: Place): Promise<Measurement> {
  const oursMs: number[] = []
  const bareMs: number[] = []
  for (let pair = 0; pair < (context.quick ? 2 : 15); pair++) {
    bareMs.push((await run('ssh', ...config, 'sshd', 'true')).ms)
    oursMs.push((await run('ssh', ...config, 'ours', 'true')).ms)
  }
  const ratio = median(oursMs) / median(bareMs)
  return {
    what: 'ssh: connect and run true',
    baseline: `${round(median(bareMs))} ms: sshd`,
    ours: `${round(median(oursMs))} ms, in the container`,
    ratio,
    budget: '≤ 0.5 ×',
    verdict: verdict(ratio <= 0.5, context),
    remark: 'Ours holds the start of a process in a container.',
  }
}

async function measureStream(context: RowContext, {run, config}: Place): Promise<Measurement> {
  const megabytes = context.quick ? 10 : 300
  const command = `head -c ${megabytes * 1_000_000} /dev/zero`
  const oursMs: number[] = []
  const bareMs: number[] = []
  for (let pair = 0; pair < (context.quick ? 1 : 3); pair++) {
    bareMs.push((await run('ssh', ...config, 'behind', command)).ms)
    oursMs.push((await run('ssh', ...config, 'ours', command)).ms)
  }
  const speed = (list: number[]) => (megabytes / median(list)) * 1000
  const ratio = speed(oursMs) / speed(bareMs)
  return {
    what: `ssh: ${megabytes} MB out of the instance`,
    baseline: `${round(speed(bareMs))} MB/s: sshd behind ProxyJump`,
    ours: `${round(speed(oursMs))} MB/s`,
    ratio,
    budget: '≥ 0.75 ×',
    verdict: verdict(ratio >= 0.75, context),
  }
}

async function measureFiles(context: RowContext, {run, config, at, containerId}: Place): Promise<Measurement> {
  const megabytes = context.quick ? 4 : 64
  await run('dd', 'if=/dev/urandom', `of=${at('big')}`, 'bs=1M', `count=${megabytes}`)
  const docker = await run('sh', '-c', `docker exec -i ${containerId} sh -c 'cat > /tmp/big' < ${at('big')}`)
  const ours = await run('scp', '-q', ...config, at('big'), 'ours:/tmp/big2')
  return {
    what: `scp: ${megabytes} MiB into the instance`,
    baseline: `${round(docker.ms)} ms: docker exec cat`,
    ours: `${round(ours.ms)} ms`,
    ratio: ours.ms / docker.ms,
    budget: 'none',
    verdict: 'no budget',
  }
}

/** Memory of the server with many sessions open, and after them. */
async function measureCrowd(context: RowContext, {at, port, pid}: Place): Promise<Measurement> {
  const sessions = context.quick ? 10 : 200
  const before = memoryMiB(pid).now
  const privateKey = readFileSync(at('id'))
  const clients: ssh2.Client[] = []
  for (let number = 0; number < sessions; number++) clients.push(await openCommand(port, privateKey))
  const during = memoryMiB(pid).now
  const closed = clients.map(client => new Promise<void>(resolve => client.once('close', () => resolve())))
  for (const client of clients) client.end()
  await Promise.all(closed)
  // What is free goes back to the system little by little.
  const after = await eventually(() => (memoryMiB(pid).now < before + 64 ? memoryMiB(pid).now : undefined), {
    withinMs: 60_000,
    everyMs: 500,
  }).catch(() => memoryMiB(pid).now)
  return {
    what: `ssh: memory of the server, ${sessions} sessions at once`,
    baseline: `${round(before)} MiB before`,
    ours: `${round(during)} MiB with them, ${round(after)} MiB after`,
    ratio: undefined,
    budget: '≤ 2 MiB a session, and back',
    verdict: verdict(during - before <= 2 * sessions && after < before + 64, context),
  }
}

function openCommand(port: number, privateKey: Buffer): Promise<ssh2.Client> {
  const client = new ssh2.Client()
  return new Promise((resolve, reject) => {
    client.once('error', reject)
    client.once('ready', () => {
      client.exec('echo ready; cat', (error, channel) => {
        if (error) return reject(error)
        channel.once('data', () => resolve(client))
      })
    })
    client.connect({host: '127.0.0.1', port, username: 'admin+work', privateKey, readyTimeout: 60_000})
  })
}
