import {posix} from 'node:path'
import {type ContainerShell, quoted} from './container-shell.ts'
import {type Attributes, SftpFailure, statusCode} from './sftp-wire.ts'

export interface Entry {
  name: string
  attributes: Attributes
}

const figures = '%f %s %u %g %X %Y'

/** Files of a container by the programs that every image with a shell has: stat, find, mkdir, mv, rm, ln, chmod, touch. */
export class ContainerFiles {
  readonly #shell: ContainerShell
  readonly #folder: string

  constructor(shell: ContainerShell, folder: string) {
    this.#shell = shell
    this.#folder = folder
  }

  /** Where the shell begins is what a relative path stands on. */
  static async open(shell: ContainerShell): Promise<ContainerFiles> {
    return new ContainerFiles(shell, (await shell.run('export LC_ALL=C; pwd')).trim())
  }

  /** Absolute, without `.` and `..`. Throws SftpFailure for what no file system takes. */
  absolute(path: string): string {
    if (path.includes('\0')) throw new SftpFailure(statusCode.failure, 'A path has no zero byte.')
    return posix.resolve(this.#folder, path)
  }

  async stat(path: string, {follow}: {follow: boolean}): Promise<Attributes> {
    const text = await this.#shell.run(`stat ${follow ? '-L ' : ''}-c '${figures}' ${quoted(path)}`)
    return attributesOf(text.trim())
  }

  async list(path: string): Promise<Entry[]> {
    const {mark} = this.#shell
    const each = `-exec stat -c '${mark} ${figures} %n' {} +`
    const text = await this.#shell.run(`(cd ${quoted(path)} && find . -maxdepth 1 ! -name . ${each})`)
    return text
      .split(`${mark} `)
      .slice(1)
      .map(line => {
        const [, numbers = '', name = ''] = /^((?:\S+ ){5}\S+) \.\/([\s\S]*?)\n?$/.exec(line) ?? []
        return {name, attributes: attributesOf(numbers)}
      })
  }

  async set(path: string, {sizeBytes, owner, mode, times}: Attributes): Promise<void> {
    const at = quoted(path)
    const steps = [`[ -e ${at} ] || { echo No such file; exit 1; }`]
    if (sizeBytes !== undefined) steps.push(`dd if=/dev/null of=${at} bs=1 seek=${sizeBytes} count=0`)
    if (owner) steps.push(`chown ${owner.uid}:${owner.gid} ${at}`)
    if (mode !== undefined) steps.push(`chmod ${(mode & 0o7777).toString(8)} ${at}`)
    if (times) steps.push(`touch -a -d @${times.accessed} ${at}`, `touch -m -d @${times.modified} ${at}`)
    await this.#shell.run(`(${steps.join(' && ')})`)
  }

  /** Makes the file as the flags want it, before its content comes. */
  async create(path: string, wish: {exclusive: boolean; truncate: boolean; mode?: number}): Promise<void> {
    const at = quoted(path)
    const permit = wish.mode === undefined ? ':' : `chmod ${(wish.mode & 0o777).toString(8)} ${at}`
    const make = wish.exclusive ? `(set -C; : > ${at})` : `: ${wish.truncate ? '>' : '>>'} ${at}`
    await this.#shell.run(
      `([ -e ${at} ] && permit=: || permit='${permit.replaceAll("'", "'\\''")}'; ${make} && eval "$permit")`,
    )
  }

  /** Throws SftpFailure unless its content can be read. */
  async checkReadable(path: string): Promise<void> {
    const at = quoted(path)
    await this.#shell.run(`(if [ -d ${at} ]; then echo Is a directory; exit 1; fi; : < ${at})`)
  }

  async makeFolder(path: string, mode: number | undefined): Promise<void> {
    await this.#shell.run(`mkdir ${mode === undefined ? '' : `-m ${(mode & 0o777).toString(8)} `}${quoted(path)}`)
  }

  async removeFolder(path: string): Promise<void> {
    await this.#shell.run(`rmdir ${quoted(path)}`)
  }

  async remove(path: string): Promise<void> {
    const at = quoted(path)
    await this.#shell.run(`(if [ -d ${at} ] && [ ! -L ${at} ]; then echo Is a directory; exit 1; fi; rm ${at})`)
  }

  async rename(from: string, to: string, {replace}: {replace: boolean}): Promise<void> {
    const [source, target] = [quoted(from), quoted(to)]
    const isTaken = replace ? `[ -d ${target} ]` : `[ -e ${target} ] || [ -L ${target} ]`
    await this.#shell.run(`(if ${isTaken}; then echo File exists; exit 1; fi; mv -f ${source} ${target})`)
  }

  async link(target: string, path: string, {symbolic}: {symbolic: boolean}): Promise<void> {
    const to = symbolic ? `'${target.replaceAll("'", "'\\''")}'` : quoted(target)
    await this.#shell.run(`ln ${symbolic ? '-s -- ' : ''}${to} ${quoted(path)}`)
  }

  async readLink(path: string): Promise<string> {
    return (await this.#shell.run(`readlink ${quoted(path)}`)).replace(/\n$/, '')
  }
}

function attributesOf(text: string): Attributes {
  const [mode = '', ...rest] = text.split(' ')
  const [sizeBytes = 0, uid = 0, gid = 0, accessed = 0, modified = 0] = rest.map(Number)
  return {sizeBytes, owner: {uid, gid}, mode: Number.parseInt(mode, 16), times: {accessed, modified}}
}
