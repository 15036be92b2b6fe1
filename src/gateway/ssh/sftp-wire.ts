/** SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it. Text is latin1: names are bytes. */
export const packetType = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 200,
} as const

export const statusCode = {
  ok: 0,
  endOfFile: 1,
  missing: 2,
  denied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const

export const openFlag = {read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32} as const

/** What the client is told instead of the wanted answer. */
export class SftpFailure extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message)
    this.name = 'SftpFailure'
  }
}

export interface Attributes {
  sizeBytes?: number
  owner?: {uid: number; gid: number}
  /** With the type of the file in its upper bits. */
  mode?: number
  /** Seconds since 1970. */
  times?: {accessed: number; modified: number}
}

/** A client may send 256 KiB and a head; more is no SFTP. */
const mostPacketBytes = 256 * 1024 + 1024

/** Cuts the stream into packets without their length. Throws SftpFailure. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(piece: Buffer): Generator<Buffer> {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0)
      if (length < 1 || length > mostPacketBytes) throw new SftpFailure(statusCode.badMessage, 'Not an SFTP packet.')
      if (bytes.length < 4 + length) break
      yield bytes.subarray(4, 4 + length)
      bytes = bytes.subarray(4 + length)
    }
    this.#rest = bytes
  }
}

/** Takes the fields of a packet one by one. Throws SftpFailure when there is less than they say. */
export class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.#take(1)[0] as number
  }

  number(): number {
    return this.#take(4).readUInt32BE(0)
  }

  /** Up to 2^53. */
  long(): number {
    return Number(this.#take(8).readBigUInt64BE(0))
  }

  bytes(): Buffer {
    return this.#take(this.number())
  }

  text(): string {
    return this.bytes().toString('latin1')
  }

  attributes(): Attributes {
    const flags = this.number()
    const attributes: Attributes = {}
    if (flags & 1) attributes.sizeBytes = this.long()
    if (flags & 2) attributes.owner = {uid: this.number(), gid: this.number()}
    if (flags & 4) attributes.mode = this.number()
    if (flags & 8) attributes.times = {accessed: this.number(), modified: this.number()}
    return attributes
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new SftpFailure(statusCode.badMessage, 'The packet is too short.')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

/** A packet with its length. Numbers are four bytes, text and bytes have their length before them. */
export function packet(type: number, ...fields: (number | string | Buffer | Attributes)[]): Buffer {
  const parts = fields.map(field => {
    if (typeof field === 'number') return four(field)
    if (typeof field === 'string') return sized(Buffer.from(field, 'latin1'))
    return Buffer.isBuffer(field) ? sized(field) : encodeAttributes(field)
  })
  const length = parts.reduce((sum, part) => sum + part.length, 1)
  return Buffer.concat([four(length), Buffer.from([type]), ...parts])
}

function encodeAttributes({sizeBytes, owner, mode, times}: Attributes): Buffer {
  const parts: Buffer[] = []
  if (sizeBytes !== undefined) {
    const size = Buffer.alloc(8)
    size.writeBigUInt64BE(BigInt(sizeBytes))
    parts.push(size)
  }
  if (owner) parts.push(four(owner.uid), four(owner.gid))
  if (mode !== undefined) parts.push(four(mode))
  if (times) parts.push(four(times.accessed), four(times.modified))
  const flags = (sizeBytes === undefined ? 0 : 1) | (owner ? 2 : 0) | (mode === undefined ? 0 : 4) | (times ? 8 : 0)
  return Buffer.concat([four(flags), ...parts])
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([four(bytes.length), bytes])
}

function four(number: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(number >>> 0)
  return bytes
}
