import {encodeEvent} from './stream.ts'

/** One published value; its bytes are made once, when the first reader needs them. */
export class Entry<T> {
  readonly id: string
  readonly value: T
  #frame: Buffer | undefined

  constructor(id: string, value: T) {
    this.id = id
    this.value = value
  }

  get frame(): Buffer {
    this.#frame ??= encodeEvent({id: this.id, data: this.value})
    return this.#frame
  }
}

/** Values for many readers, of which the last ones stay in memory so that a reader who was cut can go on. */
export class Topic<T> {
  readonly #ringSize: number
  #ring: Entry<T>[] = []
  readonly #readers = new Set<(entry: Entry<T>) => void>()

  constructor(ringSize: number) {
    this.#ringSize = ringSize
  }

  publish(id: string, value: T): void {
    const entry = new Entry(id, value)
    this.#ring.push(entry)
    if (this.#ring.length > this.#ringSize) this.#ring.shift()
    for (const read of this.#readers) read(entry)
  }

  /** What came after the entry of that id; undefined when it is no longer, or was never, here. */
  after(id: string): Entry<T>[] | undefined {
    const at = this.#ring.findLastIndex(entry => entry.id === id)
    return at < 0 ? undefined : this.#ring.slice(at + 1)
  }

  /** Calls back with every value from now on, until the returned function is called. */
  subscribe(read: (entry: Entry<T>) => void): () => void {
    this.#readers.add(read)
    return () => this.#readers.delete(read)
  }
}
