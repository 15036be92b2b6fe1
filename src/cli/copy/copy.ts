import type {Client} from '../../client/client.ts'
import {Failure} from '../failure.ts'
import type {Entry} from './entry.ts'
import type {Place} from './place.ts'
import {openSink} from './sink.ts'
import {openSource} from './source.ts'
import {Tally} from './tally.ts'

export interface Copied {
  files: number
  bytes: number
  /** Of a single file. */
  sha256: string | null
  /** It was read back and is the same. */
  verified: boolean
  /** Devices, pipes and the like. */
  skipped: string[]
}

interface Wish {
  from: Place
  to: Place
  recursive: boolean
  /** Reads back what was written and compares. */
  verify: boolean
  quiet: boolean
  signal: AbortSignal
}

/** Copies between this machine, instances and our own streams. Throws Failure, ApiError, UnreachableError. */
export async function copy(client: Client, wish: Wish): Promise<{copied: Copied; summary: string}> {
  const source = await openSource(client, wish.from, wish)
  const tally = new Tally({quiet: wish.quiet, totalBytes: source.totalBytes})
  try {
    const sink = await openSink(client, wish.to, source)
    const skipped = await sink.take(counted(source.entries(sink.name), tally, wish.signal))
    const verified = wish.verify && sink.readBack !== undefined
    if (sink.readBack && verified) await compare(sink.readBack(), tally)
    const {files, bytes, summary, digests} = tally
    const sha256 = files === 1 ? ([...digests.values()][0] ?? null) : null
    return {copied: {files, bytes, sha256, verified, skipped}, summary}
  } finally {
    tally.end()
    await source.close()
  }
}

async function* counted(entries: AsyncIterable<Entry>, tally: Tally, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const {entry, content} of entries) {
    signal.throwIfAborted()
    yield {entry, content: entry.kind === 'file' ? tally.count(entry.path, content) : content}
  }
}

async function compare(found: AsyncIterable<Entry>, sent: Tally): Promise<void> {
  const there = new Tally({quiet: true})
  for await (const {entry, content} of found) {
    if (entry.kind === 'file') for await (const _ of there.count(entry.path, content));
  }
  for (const [path, digest] of sent.digests) {
    if (there.digests.get(path) !== digest) {
      throw new Failure('copy_differs', `${path} is not there as it was sent: its SHA-256 differs.`)
    }
  }
}
