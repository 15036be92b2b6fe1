import {createHash} from 'node:crypto'
import {createWriteStream, existsSync} from 'node:fs'
import {mkdtemp, readdir, rename, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import type {AgentProgram, ProgramPart} from '../contract/agent-protocol.ts'
import {isNewer, versionPattern} from '../contract/version.ts'
import {type Exec, exec} from '../platform/exec.ts'
import {ensurePrivateDirectory, readSecretFile, writeSecretFile} from '../platform/files.ts'

/** The program is some seven MiB. */
const maxArchiveBytes = 128 * 1024 * 1024
const limits = {unpackMs: 120_000, versionMs: 30_000}
/** Starts of a new program that end before the server has confirmed it. */
export const trialBoots = 3
/** From its arrival on, for the server to see it and say so. */
export const trialMs = 90_000

export class ProgramError extends Error {
  override readonly name = 'ProgramError'
}

/** Kept beside the programs, replaced as a whole: what it says holds, whatever was cut off. */
interface Kept {
  /** Version that runs in place of the installed one. */
  current?: string
  /** What to go back to; absent: the installed one. */
  former?: string
  trial?: {version: string; attempt: string; boots: number; untilMs: number}
  failed?: {version: string; attempt: string; reason: string}
}

export interface ChosenProgram {
  version: string
  /** Path of its bin/run.js. */
  path: string
  /** Set while the server has not confirmed it. */
  untilMs?: number
}

interface ProgramsParts {
  /** Of the agent. */
  directory: string
  exec?: Exec
  now?: () => number
}

/**
 * Programs that the server sent, each in a folder of its version, beside the one that is installed here, which is never
 * touched. A new one is on trial until the server has seen it and confirms; else the former one runs again.
 */
export class Programs {
  readonly #folder: string
  readonly #exec: Exec
  readonly #now: () => number
  #isReceiving = false

  constructor({directory, exec: run = exec, now = Date.now}: ProgramsParts) {
    this.#folder = join(directory, 'programs')
    this.#exec = run
    this.#now = now
  }

  async describe(version: string): Promise<AgentProgram> {
    const {trial, failed = null} = await this.#load()
    return {version, platform: `${process.platform}-${process.arch}`, trial: trial?.version ?? null, failed}
  }

  /** Checks what comes, unpacks it and puts it on trial: it runs from the next start on. Throws ProgramError. */
  async receive(part: ProgramPart, content: AsyncIterable<Uint8Array>, own: string): Promise<void> {
    const {version, attempt} = part
    if (!versionPattern.test(version)) throw new ProgramError(`${JSON.stringify(version)} is no version.`)
    if (!isNewer(version, own)) throw new ProgramError(`${own} runs here; ${version} is not newer.`)
    if (this.#isReceiving) throw new ProgramError('Another program is being received.')
    this.#isReceiving = true
    try {
      await ensurePrivateDirectory(this.#folder)
      await this.#sweep()
      await this.#unpack(part, content)
      const {current} = await this.#load()
      const trial = {version, attempt, boots: 0, untilMs: this.#now() + trialMs}
      await this.#save({current: version, ...(current === own ? {former: own} : {}), trial})
    } finally {
      this.#isReceiving = false
    }
  }

  /** The server has seen `version` connected. What is neither it nor its former goes. */
  async confirm(version: string): Promise<void> {
    const kept = await this.#load()
    if (kept.current !== version) throw new ProgramError(`${version} is not what runs here.`)
    if (kept.trial) await this.#save({current: kept.current, ...(kept.former ? {former: kept.former} : {})})
    await this.#sweep()
  }

  /** What is to be started in place of the program that asks, the installed one; each asking counts as a start. */
  async next(own: string): Promise<ChosenProgram | undefined> {
    const kept = await this.#load()
    const {current, trial} = kept
    if (current === undefined) return undefined
    const path = this.#pathOf(current)
    if (!isNewer(current, own) || !existsSync(path)) {
      // A newer one was installed here meanwhile, or somebody removed it.
      await this.#save({...(kept.failed ? {failed: kept.failed} : {})})
      await this.#sweep().catch(() => {}) // what is left goes with the next that comes
      return undefined
    }
    if (!trial) return {version: current, path}
    if (trial.boots >= trialBoots || this.#now() >= trial.untilMs) {
      const reason =
        trial.boots >= trialBoots
          ? `It ended ${trialBoots} times before the server had confirmed it.`
          : `The server had not confirmed it within ${trialMs / 1000} s.`
      await this.#goBack(kept, reason)
      return this.next(own)
    }
    await this.#save({...kept, trial: {...trial, boots: trial.boots + 1}})
    return {version: current, path, untilMs: trial.untilMs}
  }

  /** Whether `version` is still what should run, and needs no confirmation any more. */
  async isSettled(version: string): Promise<boolean> {
    const {current, trial} = await this.#load()
    return current === version && trial === undefined
  }

  /** Whether something else than `version` is to be started now. */
  async isReplaced(version: string): Promise<boolean> {
    const {current} = await this.#load()
    return current !== undefined && current !== version
  }

  async #goBack({former, trial}: Kept, reason: string): Promise<void> {
    const {version = '', attempt = ''} = trial ?? {}
    await this.#save({...(former ? {current: former} : {}), failed: {version, attempt, reason}})
    await rm(join(this.#folder, version), {recursive: true, force: true})
  }

  async #unpack({version, sha256, sizeBytes}: ProgramPart, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (!(sizeBytes > 0 && sizeBytes <= maxArchiveBytes)) throw new ProgramError(`${sizeBytes} bytes are no program.`)
    const work = await mkdtemp(join(this.#folder, '.unpack-'))
    try {
      const archive = join(work, 'program.tar.gz')
      const hash = createHash('sha256')
      let bytes = 0
      await pipeline(
        content,
        async function* (pieces) {
          for await (const piece of pieces) {
            bytes += piece.length
            if (bytes > sizeBytes) throw new ProgramError(`More than ${sizeBytes} bytes came.`)
            hash.update(piece)
            yield piece
          }
        },
        createWriteStream(archive, {flags: 'wx', mode: 0o600}),
      )
      if (bytes !== sizeBytes || hash.digest('hex') !== sha256) {
        throw new ProgramError('What came is not what the server meant to send: its checksum is another one.')
      }
      await this.#run('tar', ['-xzf', archive, '--no-same-owner', '-C', work], limits.unpackMs)
      const program = join(work, 'gpuctl', 'bin', 'run.js')
      const said = await this.#run(process.execPath, [program, '--version'], limits.versionMs)
      if (!said.startsWith(`gpuctl/${version} `))
        throw new ProgramError(`It says that it is ${said.trim().slice(0, 80)}.`)
      await rm(join(this.#folder, version), {recursive: true, force: true})
      await rename(join(work, 'gpuctl'), join(this.#folder, version))
    } finally {
      await rm(work, {recursive: true, force: true})
    }
  }

  async #run(file: string, args: string[], timeoutMs: number): Promise<string> {
    const {stdout, stderr, code} = await this.#exec(file, args, {timeoutMs}).catch((error: Error) => {
      throw new ProgramError(`${file} did not run: ${error.message}`, {cause: error})
    })
    if (code !== 0) throw new ProgramError(`${file} ended with ${code}: ${stderr.trim().slice(0, 300)}`)
    return stdout
  }

  /** Programs that nothing points at, and what an agent that was killed was unpacking or writing. */
  async #sweep(): Promise<void> {
    const {current, former} = await this.#load()
    for (const name of await readdir(this.#folder)) {
      const isProgram = versionPattern.test(name) && name !== current && name !== former
      if (isProgram || /^\.(unpack-|state\.json\.)/.test(name))
        await rm(join(this.#folder, name), {recursive: true, force: true})
    }
  }

  #pathOf(version: string): string {
    return join(this.#folder, version, 'bin', 'run.js')
  }

  async #load(): Promise<Kept> {
    try {
      return JSON.parse(await readSecretFile(this.#statePath)) as Kept
    } catch (error) {
      // Nothing was ever sent; or a file that nobody can read chooses nothing: the installed program is always there.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return {}
      throw error
    }
  }

  async #save(kept: Kept): Promise<void> {
    await writeSecretFile(this.#statePath, `${JSON.stringify(kept)}\n`)
  }

  get #statePath(): string {
    return join(this.#folder, 'state.json')
  }
}
