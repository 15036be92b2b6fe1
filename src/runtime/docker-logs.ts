import type {ContainerInspectInfo} from 'dockerode'
import {type DockerEngine, pieces} from './docker-engine.ts'
import {DockerFrameReader} from './docker-frames.ts'
import {readableLogFile} from './docker-log-file.ts'
import type {LogChunk, LogOptions} from './driver.ts'
import {readJsonLog} from './json-log-reader.ts'

/** A container's output through the engine. The reader sets the pace: nothing is read ahead of it. */
export async function* readLogs(
  engine: DockerEngine,
  info: ContainerInspectInfo,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogChunk> {
  if (signal.aborted) return
  const {follow, tail, sinceNs, untilNs, timestamps, stdout, stderr} = options
  if (!stdout && !stderr) return
  const file = follow ? undefined : await readableLogFile(info, engine.socketPath !== undefined)
  if (file) {
    yield* readJsonLog({path: file, hasEnded: async () => true}, options, signal)
    return
  }
  const query = {
    follow,
    timestamps,
    stdout,
    stderr,
    tail: tail ?? 'all',
    ...(sinceNs === undefined ? {} : {since: seconds(sinceNs)}),
    ...(untilNs === undefined ? {} : {until: seconds(untilNs)}),
  }
  const doing = 'Reading the log'
  const stream = await engine.stream(doing, {path: `/containers/${info.Id}/logs`, query}, signal)
  const frames = new DockerFrameReader({stampedFrames: timestamps})
  for await (const piece of pieces(stream, doing, signal)) {
    if (info.Config.Tty) yield {stream: 'stdout', data: piece}
    else yield* frames.read(piece)
  }
}

/** `1700000000.000000001`: the engine takes nanoseconds, and its lower bound is inclusive. */
function seconds(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`
}
