/**
 * The tar format (POSIX.1-2001 pax interchange, IEEE Std 1003.1; GNU long names are read too) as a stream: heads with
 * their content behind them, in blocks of 512 bytes.
 */
export interface TarEntry {
  /** Without a trailing slash. */
  path: string
  kind: 'file' | 'folder' | 'link' | 'hardLink' | 'other'
  /** Of the content that follows; 0 for all but files. */
  sizeBytes: number
  /** Permission bits with setuid, setgid and sticky. */
  mode: number
  uid: number
  gid: number
  modifiedAtMs: number
  /** Where a link points; of a hard link the path of another entry. */
  linkTarget: string
}

const blockBytes = 512
/** Largest pax or long-name record that is read. */
const maxRecordBytes = 1024 * 1024
const typeFlags = {file: '0', hardLink: '1', link: '2', folder: '5', other: '7'} as const
const kinds: Record<string, TarEntry['kind']> = {'0': 'file', '\0': 'file', '1': 'hardLink', '2': 'link', '5': 'folder'}

/** Two blocks of zeros. */
export const tarEnd: Uint8Array = new Uint8Array(2 * blockBytes)

/** Head of an entry; its content follows, then `tarPadding` of its size. */
export function encodeTarHead(entry: TarEntry): Buffer {
  const {path, sizeBytes, linkTarget, kind} = entry
  const records: [string, string][] = []
  const name = kind === 'folder' ? `${path}/` : path
  if (!fits(name, 100)) records.push(['path', name])
  if (!fits(linkTarget, 100)) records.push(['linkpath', linkTarget])
  if (sizeBytes >= 0o77777777777) records.push(['size', String(sizeBytes)])
  const head = encodeBlock({...entry, path: name}, typeFlags[kind])
  if (records.length === 0) return head
  const pax = Buffer.concat(records.map(encodeRecord))
  const paxHead = encodeBlock({...entry, path: 'PaxHeader', linkTarget: '', sizeBytes: pax.length, mode: 0o644}, 'x')
  return Buffer.concat([paxHead, pax, tarPadding(pax.length), head])
}

/** Zeros up to the next block. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes)
}

/**
 * Entries in their order. The content of one must be read before the next is asked for; what was not read is skipped.
 * Throws TarError when it is no tar, or ends early.
 */
export async function* readTar(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<{entry: TarEntry; content: AsyncGenerator<Buffer>}> {
  const source = new Source(pieces)
  let extra: Record<string, string> = {}
  for (;;) {
    const block = await source.take(blockBytes)
    if (!block || block.every(byte => byte === 0)) break
    const {type, entry} = decodeBlock(block)
    if (type === 'x' || type === 'L' || type === 'K' || type === 'g') {
      if (entry.sizeBytes > maxRecordBytes) throw new TarError('A head of the archive is too large.')
      const record = await source.must(entry.sizeBytes)
      await source.must(tarPadding(entry.sizeBytes).length)
      if (type === 'x') extra = {...extra, ...decodeRecords(record)}
      if (type === 'L') extra.path = text(record)
      if (type === 'K') extra.linkpath = text(record)
      continue
    }
    const full = {...entry, ...extended(extra)}
    const sizeBytes = full.kind === 'file' || full.kind === 'other' ? full.sizeBytes : 0
    extra = {}
    const content = source.content(sizeBytes)
    yield {entry: {...full, path: full.path.replace(/\/+$/, '') || '/', sizeBytes}, content}
    for await (const _ of content); // what is left of it
    await source.must(tarPadding(sizeBytes).length)
  }
  await source.drain()
}

export class TarError extends Error {
  override readonly name = 'TarError'
}

function encodeBlock(entry: TarEntry, type: string): Buffer {
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, length: number) =>
    block.write(
      Math.min(value, 8 ** (length - 1) - 1)
        .toString(8)
        .padStart(length - 1, '0'),
      at,
    )
  block.write(entry.path.slice(0, 100), 0, 100)
  octal(entry.mode, 100, 8)
  octal(entry.uid, 108, 8)
  octal(entry.gid, 116, 8)
  octal(entry.sizeBytes, 124, 12)
  octal(Math.max(0, Math.floor(entry.modifiedAtMs / 1000)), 136, 12)
  block.write('        ', 148)
  block.write(type, 156)
  block.write(entry.linkTarget.slice(0, 100), 157, 100)
  block.write('ustar\x0000', 257)
  block.write(`${sum(block).toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function decodeBlock(block: Buffer): {type: string; entry: TarEntry} {
  const field = (at: number, length: number) => text(block.subarray(at, at + length))
  const number = (at: number, length: number) => decodeNumber(block.subarray(at, at + length))
  const checked = Buffer.from(block)
  checked.write('        ', 148)
  if (sum(checked) !== number(148, 8)) throw new TarError('This is not a tar archive.')
  const type = String.fromCharCode(block[156] ?? 0)
  const prefix = field(257, 6).startsWith('ustar') && block[263] === 0x30 ? field(345, 155) : ''
  return {
    type,
    entry: {
      path: prefix ? `${prefix}/${field(0, 100)}` : field(0, 100),
      kind: kinds[type] ?? 'other',
      sizeBytes: number(124, 12),
      mode: number(100, 8) & 0o7777,
      uid: number(108, 8),
      gid: number(116, 8),
      modifiedAtMs: number(136, 12) * 1000,
      linkTarget: field(157, 100),
    },
  }
}

/** Octal digits, or for what is too large for them two's complement behind a high first bit (GNU). */
function decodeNumber(bytes: Buffer): number {
  if ((bytes[0] ?? 0) < 0x80) return Number.parseInt(text(bytes).trim() || '0', 8)
  return Number(BigInt(`0x${bytes.toString('hex')}`) & ((1n << BigInt(bytes.length * 8 - 1)) - 1n))
}

function encodeRecord([key, value]: [string, string]): Buffer {
  const body = ` ${key}=${value}\n`
  const length = Buffer.byteLength(body)
  let total = length + String(length).length
  if (String(total).length > String(length).length) total++
  return Buffer.from(`${total}${body}`)
}

function decodeRecords(bytes: Buffer): Record<string, string> {
  const found: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, space))
    if (space < 0 || !Number.isInteger(length) || length < 5) throw new TarError('A head of the archive is damaged.')
    const record = bytes.toString('utf8', space + 1, at + length - 1)
    const equals = record.indexOf('=')
    found[record.slice(0, equals)] = record.slice(equals + 1)
    at += length
  }
  return found
}

function extended({path, linkpath, size, uid, gid, mtime}: Record<string, string>): Partial<TarEntry> {
  return {
    ...(path === undefined ? {} : {path}),
    ...(linkpath === undefined ? {} : {linkTarget: linkpath}),
    ...(size === undefined ? {} : {sizeBytes: Number(size)}),
    ...(uid === undefined ? {} : {uid: Number(uid)}),
    ...(gid === undefined ? {} : {gid: Number(gid)}),
    ...(mtime === undefined ? {} : {modifiedAtMs: Math.round(Number(mtime) * 1000)}),
  }
}

function sum(block: Buffer): number {
  let total = 0
  for (const byte of block) total += byte
  return total
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

function fits(word: string, length: number): boolean {
  return Buffer.byteLength(word) === word.length && word.length <= length
}

/** Takes so many bytes at a time out of pieces of any size. */
class Source {
  readonly #pieces: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** Undefined at the end. Throws TarError when it ends in the middle. */
  async take(bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    for (let missing = bytes; missing > 0; ) {
      const piece = await this.#next(missing)
      if (!piece && parts.length === 0) return undefined
      if (!piece) throw new TarError('The archive ends early.')
      parts.push(piece)
      missing -= piece.length
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  }

  async must(bytes: number): Promise<Buffer> {
    const taken = await this.take(bytes)
    if (!taken) throw new TarError('The archive ends early.')
    return taken
  }

  async *content(bytes: number): AsyncGenerator<Buffer> {
    for (let missing = bytes; missing > 0; ) {
      const piece = await this.#next(missing)
      if (!piece) throw new TarError('The archive ends early.')
      missing -= piece.length
      yield piece
    }
  }

  /** Reads on to the end, so that whoever sends is not left waiting. */
  async drain(): Promise<void> {
    while (await this.#next(Number.MAX_SAFE_INTEGER));
  }

  async #next(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const {value, done} = await this.#pieces.next()
      if (done) return undefined
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    const piece = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(piece.length)
    return piece
  }
}
