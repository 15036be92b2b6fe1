import {spawn} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {onTestFinished} from 'vitest'
import {localTokenFile} from '../../src/main/local-fleet.ts'
import {program} from './gpuctl.ts'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'

export interface LabCall {
  /** Address of this machine from which to call. */
  from: '127.0.0.1' | '10.9.9.2' | '10.9.9.3'
  method: string
  path: string
  headers?: Record<string, string>
  body?: unknown
}

const labDefaults = {
  /** Addresses that are this machine, beside 10.9.9.1 to 10.9.9.3. */
  addresses: [] as readonly string[],
  /** Where the control server listens, the main address first. */
  listen: ['127.0.0.1:8888', '10.9.9.1:8888'] as readonly string[],
  canaryPort: 40_001,
  env: {} as NodeJS.ProcessEnv,
}

/**
 * A network of its own: a control server, callers at 10.9.9.2 and 10.9.9.3, and a canary at every address that answers
 * like a runtime and notes who connects. Needs root and network namespaces. Ends with the test.
 */
export async function networkLab(options: Partial<typeof labDefaults> = {}) {
  const {addresses, listen, canaryPort, env} = {...labDefaults, ...options}
  const data = await temporaryDirectory('gpuctl-lab-')
  const own = ['10.9.9.1', '10.9.9.2', '10.9.9.3', ...addresses]
  const add = own.map(address => `ip addr add ${address}/${address.includes(':') ? 128 : 32} dev lo nodad 2>/dev/null`)
  const script = ['ip link set lo up', ...add, 'exec "$@"'].join('; ')
  const inside = [
    process.execPath,
    join(import.meta.dirname, 'lab-network.mjs'),
    program,
    data,
    `${canaryPort}`,
    ...listen,
  ]
  const child = spawn('unshare', ['--net', 'sh', '-c', script, 'lab', ...inside], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {PATH: process.env.PATH, HOME: data, ...env},
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', piece => {
    said += piece
  })
  const gone = new Promise<never>((_, reject) =>
    child.once('exit', () => reject(new Error(`The lab ended:\n${said.slice(-2000)}`))),
  )
  gone.catch(() => {})
  onTestFinished(async () => {
    child.stdin.end()
    await gone.catch(() => {})
  })
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
  let last: Promise<unknown> = Promise.resolve()
  const act = <T>(input: Record<string, unknown>): Promise<T> => {
    const answer = last.then(async () => {
      child.stdin.write(`${JSON.stringify(input)}\n`)
      const {value} = await Promise.race([lines.next(), gone])
      const read = JSON.parse(value as string)
      if (read?.error) throw new Error(read.error)
      return read
    })
    last = answer.catch(() => {})
    return answer as Promise<T>
  }
  const call = ({from, ...rest}: LabCall) =>
    act<{status: number; text: string}>({
      ...{action: 'call', from, to: from === '127.0.0.1' ? '127.0.0.1' : '10.9.9.1', port: 8888},
      ...rest,
    })
  const isUp = async () => (await call({from: '127.0.0.1', method: 'GET', path: '/gpuctl/v1/version'})).status === 200
  await eventually(isUp, {withinMs: 20_000, everyMs: 100, what: 'the control server in the lab'})
  return {
    call,
    reach: (address: string) => act<boolean>({action: 'reach', address}),
    canaryPort,
    /** Runs it with bash. */
    script: (path: string) => act<{code: number; stdout: string; stderr: string}>({action: 'script', path}),
    /** Addresses at which somebody connected to the canary since the last look. */
    connections: () => act<string[]>({action: 'connections'}),
    adminToken: (await readFile(join(data, 'server', localTokenFile), 'utf8')).trim(),
  }
}
