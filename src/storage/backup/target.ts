/** A place for finished files: each is there whole, or not at all. Errors are StorageErrors with words for people. */
export interface BackupTarget {
  /** Throws exists when there is one of that name. `expectedBytes` is a guess. What is left half done is gone after a throw. */
  write(name: string, content: AsyncIterable<Buffer>, options: WriteOptions): Promise<void>
  /** From byte `from` on. Throws not_found. */
  read(name: string, options: {from?: number; signal: AbortSignal}): AsyncIterable<Uint8Array>
  size(name: string): Promise<number | null>
  /** Also what is half done; again is no failure. */
  remove(name: string): Promise<void>
}

export interface WriteOptions {
  expectedBytes: number
  signal: AbortSignal
}
