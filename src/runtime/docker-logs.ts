import type {ContainerInspectInfo} from 'dockerode'
import {type DockerEngine, pieces} from './docker-engine.ts'
import {DockerFrameReader} from './docker-frames.ts'
import type {LogChunk, LogOptions} from './driver.ts'

/** A container's output through the engine. The reader sets the pace: nothing is read ahead of it. */
export async function* readLogs(
  engine: DockerEngine,
  {Id, Config}: ContainerInspectInfo,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogChunk> {
  if (signal.aborted) return
  const {follow, tail, sinceNs, untilNs, timestamps, stdout, stderr} = options
  if (!stdout && !stderr) return
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
  const stream = await engine.stream(doing, {path: `/containers/${Id}/logs`, query}, signal)
  const frames = new DockerFrameReader()
  for await (const piece of pieces(stream, doing, signal)) {
    if (Config.Tty) yield {stream: 'stdout', data: piece}
    else yield* frames.read(piece)
  }
}

/** `1700000000.000000001`: the engine takes nanoseconds, and its lower bound is inclusive. */
function seconds(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`
}
