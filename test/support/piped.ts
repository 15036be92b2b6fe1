import {type ChildProcess, spawn} from 'node:child_process'
import {onTestFinished} from 'vitest'
import {program} from './gpuctl.ts'
import type {WholeFleet} from './whole-fleet.ts'

export interface Piped {
  code: number | null
  stdout: Buffer
  stderr: string
}

/** What each launched program has said so far. */
const said = new WeakMap<ChildProcess, string>()

/** Runs `gpuctl …args` as the fleet's administrator with bytes on its standard input, and takes bytes from its output. */
export function pipe(fleet: WholeFleet, args: string[], input: string | Uint8Array = ''): Promise<Piped> {
  const {child, ended} = launch(fleet, args)
  child.stdin?.on('error', () => {}) // it did not want its input
  child.stdin?.end(input)
  return ended
}

/** As pipe, and leaves its input open; killed when the test ends. */
export function launch(fleet: WholeFleet, args: string[]): {child: ChildProcess; ended: Promise<Piped>} {
  const child = spawn(process.execPath, [program, ...args], {env: fleet.cliEnvironment, stdio: 'pipe'})
  onTestFinished(() => void child.kill('SIGKILL'))
  const stdout: Buffer[] = []
  let stderr = ''
  const hear = (piece: Buffer | string) => said.set(child, `${said.get(child) ?? ''}${piece}`)
  child.stdout.on('data', hear).on('data', piece => stdout.push(piece))
  child.stderr
    .setEncoding('utf8')
    .on('data', hear)
    .on('data', piece => {
      stderr += piece
    })
  const ended = new Promise<Piped>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({code, stdout: Buffer.concat(stdout), stderr}))
  })
  return {child, ended}
}

/** Resolves as soon as what a launched program has said since its start, on both streams, matches. */
export function untilSaid(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = pattern.exec(said.get(child) ?? '')
      if (found) resolve(found)
    }
    child.stdout?.on('data', look)
    child.stderr?.on('data', look)
    child.once('close', code => reject(new Error(`It ended with ${code} and said: ${said.get(child)}`)))
    look()
  })
}
