import {ContainerContent, type StartProcess} from './container-content.ts'
import type {ContainerFiles, Entry} from './container-files.ts'
import {type Attributes, Fields, openFlag, packet, packetType, SftpFailure, statusCode} from './sftp-wire.ts'

const mostHandles = 64
const mostReadBytes = 256 * 1024
const namesPerAnswer = 128
const typeMask = 0o170000
const folderType = 0o040000
const linkType = 0o120000

interface Handle {
  path: string
  content?: ContainerContent
  append?: boolean
  entries?: Entry[]
}

type Answer = (fields: Fields, id: number) => Promise<Buffer | undefined>

/**
 * Answers SFTP requests, one after the other, for an image that has no sftp-server. One session; at most 64 files are open
 * in it, and of each at most one piece is in memory.
 */
export class SftpServer {
  readonly #files: ContainerFiles
  readonly #start: StartProcess
  readonly #handles = new Map<string, Handle>()
  #counted = 0
  readonly #answers: Record<number, Answer>

  constructor(files: ContainerFiles, start: StartProcess) {
    this.#files = files
    this.#start = start
    const path = (fields: Fields) => files.absolute(fields.text())
    const attributes = async (id: number, found: Promise<Attributes>) => packet(packetType.attributes, id, await found)
    this.#answers = {
      [packetType.open]: (fields, id) => this.#open(path(fields), fields.number(), fields.attributes(), id),
      [packetType.close]: fields => this.#close(fields.text()),
      [packetType.read]: (fields, id) => this.#read(fields.text(), fields.long(), fields.number(), id),
      [packetType.write]: fields => this.#write(fields.text(), fields.long(), fields.bytes()),
      [packetType.stat]: (fields, id) => attributes(id, files.stat(path(fields), {follow: true})),
      [packetType.lstat]: (fields, id) => attributes(id, files.stat(path(fields), {follow: false})),
      [packetType.fstat]: (fields, id) => attributes(id, files.stat(this.#handle(fields.text()).path, {follow: true})),
      [packetType.setstat]: fields => done(files.set(path(fields), fields.attributes())),
      [packetType.fsetstat]: fields => done(files.set(this.#handle(fields.text()).path, fields.attributes())),
      [packetType.opendir]: (fields, id) => this.#openFolder(path(fields), id),
      [packetType.readdir]: (fields, id) => this.#readFolder(fields.text(), id),
      [packetType.remove]: fields => done(files.remove(path(fields))),
      [packetType.mkdir]: fields => done(files.makeFolder(path(fields), fields.attributes().mode)),
      [packetType.rmdir]: fields => done(files.removeFolder(path(fields))),
      [packetType.realpath]: async (fields, id) => nameAnswer(id, [{name: path(fields), attributes: {}}]),
      [packetType.rename]: fields => done(files.rename(path(fields), path(fields), {replace: false})),
      [packetType.readlink]: async (fields, id) =>
        nameAnswer(id, [{name: await files.readLink(path(fields)), attributes: {}}]),
      // OpenSSH sends the target first, whatever the draft says.
      [packetType.symlink]: fields => done(files.link(fields.text(), path(fields), {symbolic: true})),
      [packetType.extended]: fields => this.#extended(fields),
    }
  }

  /** The answer to one packet. */
  async answer(bytes: Buffer): Promise<Buffer> {
    const fields = new Fields(bytes)
    const type = fields.byte()
    if (type === packetType.init) {
      return packet(packetType.version, 3, 'posix-rename@openssh.com', '1', 'hardlink@openssh.com', '1')
    }
    const id = fields.number()
    try {
      const answer = this.#answers[type]
      if (!answer) throw new SftpFailure(statusCode.unsupported, 'Operation unsupported')
      return (await answer(fields, id)) ?? statusAnswer(id, statusCode.ok, 'Success')
    } catch (error) {
      if (!(error instanceof SftpFailure)) throw error
      return statusAnswer(id, error.code, error.message)
    }
  }

  /** Ends what is open, unfinished. */
  cut(): void {
    for (const {content} of this.#handles.values()) content?.cut()
    this.#handles.clear()
  }

  async #open(path: string, flags: number, {mode}: Attributes, id: number): Promise<Buffer> {
    const has = (flag: number) => (flags & flag) !== 0
    const exclusive = has(openFlag.exclusive)
    const truncate = has(openFlag.truncate)
    if (has(openFlag.read)) await this.#files.checkReadable(path)
    if (has(openFlag.write)) {
      if (!has(openFlag.create)) await this.#files.stat(path, {follow: true})
      await this.#files.create(path, {exclusive: has(openFlag.create) && exclusive, truncate, mode})
    }
    const content = new ContainerContent(this.#start, path)
    return this.#opened({path, content, append: has(openFlag.append)}, id)
  }

  async #openFolder(path: string, id: number): Promise<Buffer> {
    return this.#opened({path, entries: await this.#files.list(path)}, id)
  }

  #opened(handle: Handle, id: number): Buffer {
    if (this.#handles.size >= mostHandles) throw new SftpFailure(statusCode.failure, 'Too many open files')
    const name = String(++this.#counted)
    this.#handles.set(name, handle)
    return packet(packetType.handle, id, name)
  }

  async #close(name: string): Promise<undefined> {
    const {content} = this.#handle(name)
    this.#handles.delete(name)
    await content?.close()
  }

  async #read(name: string, offset: number, length: number, id: number): Promise<Buffer> {
    const bytes = await this.#content(name).read(offset, Math.min(length, mostReadBytes))
    if (bytes.length === 0 && length > 0) throw new SftpFailure(statusCode.endOfFile, 'End of file')
    return packet(packetType.data, id, bytes)
  }

  async #write(name: string, offset: number, bytes: Buffer): Promise<undefined> {
    await this.#content(name).write(offset, bytes, {append: this.#handle(name).append === true})
  }

  async #readFolder(name: string, id: number): Promise<Buffer> {
    const entries = this.#handle(name).entries?.splice(0, namesPerAnswer) ?? []
    if (entries.length === 0) throw new SftpFailure(statusCode.endOfFile, 'End of file')
    return nameAnswer(id, entries)
  }

  async #extended(fields: Fields): Promise<undefined> {
    const name = fields.text()
    const path = () => this.#files.absolute(fields.text())
    if (name === 'posix-rename@openssh.com') await this.#files.rename(path(), path(), {replace: true})
    else if (name === 'hardlink@openssh.com') await this.#files.link(path(), path(), {symbolic: false})
    else throw new SftpFailure(statusCode.unsupported, 'Operation unsupported')
  }

  #content(name: string): ContainerContent {
    const {content} = this.#handle(name)
    if (!content) throw new SftpFailure(statusCode.failure, 'The handle is of a directory')
    return content
  }

  #handle(name: string): Handle {
    const handle = this.#handles.get(name)
    if (!handle) throw new SftpFailure(statusCode.failure, 'The handle is not open')
    return handle
  }
}

async function done(work: Promise<unknown>): Promise<undefined> {
  await work
}

function statusAnswer(id: number, code: number, message: string): Buffer {
  return packet(packetType.status, id, code, message, 'en')
}

/** With a line as of `ls -l` for each, which the client of OpenSSH shows. */
function nameAnswer(id: number, entries: readonly Entry[]): Buffer {
  const fields = entries.flatMap(({name, attributes}) => [name, longName(name, attributes), attributes])
  return packet(packetType.name, id, entries.length, ...fields)
}

function longName(name: string, {mode, owner, sizeBytes, times}: Attributes): string {
  if (mode === undefined) return name
  const kind = (mode & typeMask) === folderType ? 'd' : (mode & typeMask) === linkType ? 'l' : '-'
  const bits = [...'rwxrwxrwx'].map((letter, at) => (mode & (0o400 >> at) ? letter : '-')).join('')
  const when = new Date((times?.modified ?? 0) * 1000).toISOString().slice(0, 16).replace('T', ' ')
  const size = String(sizeBytes ?? 0).padStart(12)
  return `${kind}${bits}    1 ${String(owner?.uid ?? 0).padEnd(8)} ${String(owner?.gid ?? 0).padEnd(8)}${size} ${when} ${name}`
}
