import {fstatSync} from 'node:fs'
import type {Config} from '@oclif/core'
import {asksForHelp, normalise} from './argv.ts'
import type {BaseCommand} from './base-command.ts'
import {describeError, errorAsJson, errorAsText} from './error-report.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
import {wordsOf} from './file-words.ts'
import {isMachine, readOutputMode} from './global-flags.ts'
import {lightConfig, type Program} from './light-config.ts'
import type {CommandShapes, FlagShape} from './words.ts'

/** A command's class, not the abstract one. */
type CommandClass = Omit<typeof BaseCommand, 'prototype'> & (new (argv: string[], config: Config) => BaseCommand)
/** All commands by their ids (`node:join-token:create`), each loaded when it is asked for. */
export interface Commands {
  ids: readonly string[]
  command: (id: string) => CommandClass | undefined
}

/** Runs one command line (without node and script), sets process.exitCode, and leaves nothing open. */
export async function run(argv: string[], commands: Commands, program: Program): Promise<void> {
  watchOutput(process.stdout)
  if (isPiped(2)) watchOutput(process.stderr)
  try {
    if (argv[0] === 'help' && argv.length === 2 && (await printTopic(argv[1] as string))) return
    const words = normalise(argv, shapesOf(commands))
    const [id = '', ...rest] = words
    const Command = asksForHelp(rest) ? undefined : commands.command(id)
    if (!Command) return await help(words, program.root)
    Command.id = id
    await new Command(rest, lightConfig(program))._run()
  } catch (error) {
    fail(error, argv)
  }
}

/** The rest of oclif, which loads the manifest and knows the whole tree. */
async function help(words: string[], root: string): Promise<void> {
  if (words.some(word => word === '--version' || word === '-V')) {
    const {Config, run: runOclif} = await import('@oclif/core')
    await runOclif(words, await Config.load({root}))
    return
  }
  const {showHelp} = await import('./help.ts')
  await showHelp(words, root)
}

/** `gpuctl help exit-codes` and the like; false where the word is none of those. */
async function printTopic(word: string): Promise<boolean> {
  const {helpTopics} = await import('./help-topics.ts')
  const text = Object.hasOwn(helpTopics, word) ? helpTopics[word] : undefined
  if (text !== undefined) process.stdout.write(text)
  return text !== undefined
}

function shapesOf({ids, command}: Commands): CommandShapes {
  const known = new Set(ids)
  return {
    has: id => known.has(id),
    keys: () => known.keys(),
    get(id) {
      const found = command(id)
      return found && ({...found.baseFlags, ...found.flags} as Record<string, FlagShape>)
    },
  }
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

/** Making a stream of stderr takes 2 ms, and only what is piped can lose its reader. */
function isPiped(descriptor: number): boolean {
  try {
    const found = fstatSync(descriptor)
    return found.isFIFO() || found.isSocket()
  } catch {
    return false
  }
}

/** `gpuctl … | head` is no failure: the rest is simply not wanted (EPIPE, rc 0). A full disk is one. */
function watchOutput(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok)
    const failure = new Failure('output_failed', `The output cannot be written: ${wordsOf(error)}.`)
    if (stream === process.stdout) process.stderr.write(`${errorAsText(describeError(failure))}\n`)
    process.exit(exitCode.failure)
  })
}
