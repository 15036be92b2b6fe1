import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {createHash} from 'node:crypto'
import {closeSync, openSync} from 'node:fs'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import type {RowContext} from './row.ts'

export interface Output {
  ms: number
  bytes: number
  md5: string
}

/** A control server with one admitted machine on that engine, as an operator starts it; ended with the row. */
export async function benchFleet(context: RowContext, socketPath: string, {sshPort = 0}: {sshPort?: number} = {}) {
  const env = {
    PATH: process.env.PATH,
    HOME: context.folder,
    DOCKER_HOST: `unix://${socketPath}`,
    GPUCTL_CONFIG_DIR: join(context.folder, 'config'),
    GPUCTL_DATA_DIR: join(context.folder, 'data'),
    GPUCTL_CACHE_DIR: join(context.folder, 'cache'),
    GPUCTL_KEYRING: 'file',
    GPUCTL_SSH_PORT: String(sshPort),
    GPUCTL_NO_INPUT: '1',
  }
  const gpuctl = (...args: string[]) => capture(process.execPath, [context.program, ...args], env)
  context.atEnd(() => gpuctl('down'))
  await gpuctl('up', '--detach', '--listen', '127.0.0.1:0', '--runtime', 'docker', '--fake-gpus', '1')
  const [pending] = JSON.parse((await gpuctl('node', 'pending', '-o', 'json')).text) as {code: string}[]
  await gpuctl('node', 'approve', pending!.code, '--wait')
  return {gpuctl, env}
}

/** Runs a program to its end. `digest`: its output is summed up and not kept. */
export function capture(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  mode: 'text' | 'digest' = 'text',
  /** For its standard input; else it has none. */
  inputPath?: string,
): Promise<Output & {text: string}> {
  const since = performance.now()
  const input = inputPath === undefined ? undefined : openSync(inputPath, 'r')
  const child = spawn(program, args, {env, stdio: [input ?? 'ignore', 'pipe', 'pipe']}) as ChildProcessByStdio<
    null,
    Readable,
    Readable
  >
  if (input !== undefined) closeSync(input)
  const force = setTimeout(() => child.kill('SIGKILL'), 180_000)
  const hash = createHash('md5')
  let bytes = 0
  let text = ''
  let errors = ''
  child.stdout.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (mode === 'digest') hash.update(piece)
    else text += piece
  })
  child.stderr.on('data', (piece: Buffer) => {
    errors = (errors + piece).slice(-2_000)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      clearTimeout(force)
      if (code === 0) resolve({ms: performance.now() - since, bytes, md5: hash.digest('hex'), text})
      else reject(new Error(`${args.join(' ')} ended with ${code}.\n${errors}${text.slice(-1_000)}`))
    })
  })
}
