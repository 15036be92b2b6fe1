import {existsSync} from 'node:fs'
import {get as getPlain} from 'node:http'
import type {Diagnosis} from '../contract/finding.ts'
import {detectCollector} from '../metrics/registry.ts'
import {exec} from '../platform/exec.ts'
import type {StorageHost} from '../storage/host.ts'
import {checkLeftovers, checkSecrets, checkStorage} from './agent-checks.ts'
import {checkDisk, checkDocker, checkFolder, checkTimeService, ok} from './host-checks.ts'
import {agentDirectory} from './local-fleet.ts'
import {type RunFile, readRunFile} from './run-file.ts'

const clockErrorMs = 60_000

/** What the agent of this machine needs. Nothing is changed. */
export async function examineAgent(env: NodeJS.ProcessEnv): Promise<Diagnosis[]> {
  const directory = agentDirectory()
  const run = await readRunFile(directory)
  const usesDocker = run?.node?.runtime === 'docker' || Boolean(env.DOCKER_HOST)
  const docker = await checkDocker(usesDocker ? 'error' : 'warn')
  const gpus = await checkGpus(env, docker.level === 'ok')
  const rest = await Promise.all([
    checkFolder(directory),
    checkSecrets(directory),
    checkLeftovers(directory),
    checkDisk(directory),
    checkTimeService(exec),
    ...(run ? [checkServerClock(run)] : []),
  ])
  return [linkOf(run), docker, ...gpus, ...rest.flat()]
}

/** What the agent itself looks at when the server asks: what cannot be seen from there. */
export async function examineMachine({directory, storage}: {directory: string; storage: StorageHost}) {
  const found = await Promise.all([
    checkFolder(directory),
    checkSecrets(directory),
    checkLeftovers(directory),
    checkStorage(storage),
    checkTimeService(exec),
  ])
  return found.flat()
}

function linkOf(run: RunFile | undefined): Diagnosis {
  const check = 'agent'
  if (!run?.node) {
    return {check, level: 'warn', message: 'No agent runs here.', fix: 'Start it: `gpuctl agent start --server URL`.'}
  }
  const {status, name, code, detail} = run.node
  const server = run.urls[0] ?? 'no server'
  if (status === 'online') return ok(check, `It is online as ${name} at ${server}.`)
  if (status === 'joining') {
    return {
      check,
      level: 'warn',
      message: `It waits at ${server} with code ${code}.`,
      fix: `\`gpuctl node approve ${code}\``,
    }
  }
  const fix =
    status === 'refused'
      ? 'See `gpuctl agent status`; `gpuctl agent reset` lets it join anew.'
      : 'Check the address of the server and the firewall between. What runs here goes on.'
  return {check, level: 'error', message: `It is ${status} at ${server}${detail ? `: ${detail}` : ''}.`, fix}
}

async function checkGpus(env: NodeJS.ProcessEnv, hasDocker: boolean): Promise<Diagnosis[]> {
  const collector = await detectCollector({exec, env, now: Date.now, nodeSeed: 'doctor'})
  if (!collector) {
    const hasCard = existsSync('/dev/nvidia0') || existsSync('/proc/driver/nvidia') || existsSync('/dev/kfd')
    if (!hasCard)
      return [
        {check: 'GPU', level: 'warn', message: 'There is no GPU here.', fix: 'Simulated ones: --fake-gpus 2xRTX4090.'},
      ]
    const fix = 'Install the tools of the driver, so that `nvidia-smi` (or `rocm-smi`) runs.'
    return [{check: 'GPU', level: 'error', message: 'There is a GPU, and its driver does not answer.', fix}]
  }
  try {
    const {gpus, state, reason} = await collector.sample()
    if (state === 'lost') {
      const fix = 'See `dmesg | grep -i xid`; a restart of the machine brings the driver back.'
      return [{check: 'GPU', level: 'error', message: `The driver answers with: ${reason}`, fix}]
    }
    const found = ok('GPU', `${gpus.length} × ${gpus[0]?.model ?? 'none'}.`)
    return collector.vendor === 'nvidia' && hasDocker ? [found, await checkToolkit()] : [found]
  } finally {
    await collector.close()
  }
}

/** Containers get NVIDIA's cards by its container toolkit: a runtime of the engine, or CDI. */
async function checkToolkit(): Promise<Diagnosis> {
  const fix =
    'Install nvidia-container-toolkit, then `nvidia-ctk runtime configure --runtime=docker` and restart Docker.'
  const {stdout, code} = await exec('docker', ['info', '--format', '{{json .Runtimes}} {{json .CDISpecDirs}}'], {
    timeoutMs: 5_000,
  }).catch(() => ({stdout: '', code: 1}))
  if (code !== 0) return {check: 'toolkit', level: 'warn', message: 'The docker program does not answer.', fix: ''}
  if (/"nvidia"/.test(stdout)) return ok('toolkit', 'Docker knows the nvidia runtime.')
  const isCdi = existsSync('/etc/cdi/nvidia.yaml') || existsSync('/var/run/cdi/nvidia.yaml')
  if (isCdi) return ok('toolkit', 'NVIDIA’s cards are described by CDI.')
  return {check: 'toolkit', level: 'error', message: 'Docker cannot give GPUs to containers.', fix}
}

/** By the Date header of the server, whose step is a second; over TLS the certificate would be asked first. */
async function checkServerClock({urls}: RunFile): Promise<Diagnosis[]> {
  const [url] = urls
  if (!url?.startsWith('http://')) return []
  const sentAt = Date.now()
  const date = await new Promise<string | undefined>(resolve => {
    const call = getPlain(`${url}/healthz`, {timeout: 3_000}, answer => {
      answer.resume()
      resolve(answer.headers.date)
    })
    call.once('error', () => resolve(undefined))
    call.once('timeout', () => call.destroy())
  })
  if (date === undefined) {
    return [
      {check: 'server', level: 'error', message: `${url} does not answer.`, fix: 'Check the address and the firewall.'},
    ]
  }
  const offMs = Math.abs(Date.parse(date) - sentAt)
  if (offMs < clockErrorMs) return [ok('server', `${url} answers, and its clock agrees.`)]
  const fix = 'Let both keep time by NTP: `timedatectl set-ntp true`.'
  return [{check: 'clock', level: 'error', message: `The clocks differ by ${Math.round(offMs / 1000)} s.`, fix}]
}
