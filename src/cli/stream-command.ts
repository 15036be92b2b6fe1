import {BaseCommand} from './base-command.ts'
import {exitCode} from './exit-codes.ts'
import {isMachine} from './global-flags.ts'
import {encodeLine, write} from './output/machine.ts'

/** A command that prints until its source ends or Ctrl-C comes (exit 130). In the machine formats each value is a line. */
export abstract class StreamCommand extends BaseCommand {
  protected untilInterrupted<T>(follow: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    return untilInterrupted(follow)
  }

  /** One value of a stream: NDJSON for machines, the line for people. */
  protected async emit(value: unknown, line: () => string): Promise<void> {
    if (isMachine(this.mode.format)) await write(process.stdout, encodeLine(value))
    else this.log(line())
  }
}

/** Runs `follow` with a signal that Ctrl-C aborts; the second Ctrl-C ends the program at once. */
export async function untilInterrupted<T>(follow: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const stop = new AbortController()
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(exitCode.interrupted)
    process.exitCode = exitCode.interrupted
    stop.abort(new Error('interrupted'))
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt)
  process.stdout.once('close', () => stop.abort())
  try {
    return await follow(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    return undefined
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, interrupt)
  }
}
