import {randomUUID} from 'node:crypto'
import {join} from 'node:path'
import {build} from 'esbuild'
import {onTestFinished} from 'vitest'
import type {ContainerSpec, FoundContainer, LogChunk, LogOptions, RuntimeDriver} from '../../src/runtime/driver.ts'
import {label} from '../../src/runtime/labels.ts'
import {eventually} from './wait.ts'

/** What a test's container does; the shell does it, or the simulator. */
export interface Program {
  stdout?: string[]
  stderr?: string[]
  exitCode?: number
  /** It runs until it is stopped. */
  stays?: boolean
  ignoresTerm?: boolean
}

/** A container for tests. `name` is new unless given. */
export function containerSpec(
  image: string,
  program: Program = {stays: true},
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  const {stdout = [], stderr = [], exitCode = 0, stays = false, ignoresTerm = false} = program
  const say = (lines: string[], to: string) => lines.map(line => `echo '${line}' ${to}`)
  const rest = stays ? 'while :; do sleep 1 & wait $!; done 2>/dev/null' : `exit ${exitCode}`
  const script = [
    ignoresTerm ? "trap '' TERM" : "trap 'exit 143' TERM",
    ...say(stdout, ''),
    ...say(stderr, '>&2'),
    rest,
  ].join('\n')
  const simulated: Record<string, string> = {
    GPUCTL_FAKE_STDOUT: stdout.join('\n'),
    GPUCTL_FAKE_STDERR: stderr.join('\n'),
    GPUCTL_FAKE_EXIT_CODE: String(exitCode),
    ...(stays ? {} : {GPUCTL_FAKE_EXIT_AFTER_MS: '20'}),
    ...(ignoresTerm ? {GPUCTL_FAKE_IGNORE_TERM: '1'} : {}),
  }
  const id = randomUUID()
  return {
    name: `gpuctl-${id}-1`,
    image,
    command: ['/bin/sh', '-c', script],
    gpus: [],
    ...more,
    env: {...simulated, ...more.env},
    labels: {[label.claim]: id, [label.allocation]: id, ...more.labels},
  }
}

/** Creates and starts it; removed when the test has ended. */
export async function startContainer(driver: RuntimeDriver, spec: ContainerSpec): Promise<string> {
  const {containerId} = await driver.create(spec)
  onTestFinished(() => driver.remove(containerId))
  await driver.start(containerId)
  return containerId
}

export function untilExited(driver: RuntimeDriver, containerId: string, withinMs = 15_000): Promise<FoundContainer> {
  const look = async () => {
    const found = await driver.inspect(containerId)
    return found?.state === 'exited' ? found : undefined
  }
  return eventually(look, {withinMs, what: `the end of container ${containerId}`})
}

const allOutput: LogOptions = {follow: false, timestamps: false, stdout: true, stderr: true}

/** A container's output by stream, read to its end. */
export async function readOutput(
  driver: RuntimeDriver,
  containerId: string,
  options: Partial<LogOptions> = {},
): Promise<{stdout: string; stderr: string}> {
  return collect(driver.logs(containerId, {...allOutput, ...options}, AbortSignal.timeout(20_000)))
}

export async function collect(chunks: AsyncIterable<LogChunk>): Promise<{stdout: string; stderr: string}> {
  const parts = {stdout: [] as Buffer[], stderr: [] as Buffer[]}
  for await (const {stream, data} of chunks) parts[stream].push(data)
  return {stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString()}
}

/** The process runtime's supervisor as the build makes it. */
export async function buildSupervisor(folder: string): Promise<string> {
  const outfile = join(folder, 'process-supervisor.mjs')
  const entryPoints = [new URL('../../src/runtime/process-supervisor.ts', import.meta.url).pathname]
  await build({
    entryPoints,
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  })
  return outfile
}
