import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {Config, run as runOclif} from '@oclif/core'
import {normalise} from './argv.ts'
import {describeError, errorAsJson, errorAsText} from './error-report.ts'
import {isMachine, readOutputMode} from './global-flags.ts'
import type {CommandShapes, FlagShape} from './words.ts'

/** Runs one command line (without node and script), sets process.exitCode, and leaves nothing open. */
export async function run(argv: string[]): Promise<void> {
  quietWhenNobodyReads(process.stdout)
  quietWhenNobodyReads(process.stderr)
  try {
    const config = await Config.load({root: packageRoot()})
    await runOclif(normalise(argv, shapesOf(config)), config)
  } catch (error) {
    fail(error, argv)
  }
}

/** From src/cli and from dist/cli alike two folders up. */
function packageRoot(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..')
}

function shapesOf(config: Config): CommandShapes {
  return new Map(config.commands.map(({id, flags}) => [id, flags as Record<string, FlagShape>]))
}

/** What goes wrong outside a command: unknown words, a damaged installation. Help ends with oclif's own exit. */
function fail(error: unknown, argv: string[]): void {
  const {code, oclif} = error as {code?: string; oclif?: {exit?: number}}
  if (code === 'EEXIT') {
    process.exitCode ??= oclif?.exit ?? 0
    return
  }
  const report = describeError(error)
  process.exitCode = report.exitCode
  if (isMachine(readOutputMode(argv, process.env).format)) process.stdout.write(`${errorAsJson(report)}\n`)
  else process.stderr.write(`${errorAsText(report)}\n`)
}

/** `gpuctl … | head` is no failure: the rest is simply not wanted (EPIPE, rc 0). */
function quietWhenNobodyReads(stream: NodeJS.WriteStream): void {
  stream.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
    throw error
  })
}
