import type {
  BackupMaking,
  BackupMethods,
  BackupPiece,
  BackupReading,
  BackupRestoring,
  PoolType,
  SnapshotName,
  StorageInput,
  StorageMethod,
  StorageOutput,
  VolumeName,
} from '../../contract/storage-protocol.ts'
import {type StorageCommand, type StorageDriver, StorageError} from '../driver.ts'
import {backupName, markText, poolName, volumeName} from '../grammar.ts'
import type {StorageLocks} from '../locks.ts'
import {markFiles} from '../mark-file.ts'
import type {StorageRunner} from '../run.ts'
import {andThen} from '../taking-back.ts'
import {Counted, checked, type Report} from './counted.ts'
import {type JobResult, Jobs} from './jobs.ts'
import {throughPrograms} from './pipeline.ts'
import {openTarget} from './targets.ts'

export type Pipe = typeof throughPrograms

interface BackupParts {
  /** Runs programs one behind the other. */
  pipe?: Pipe | undefined
  runner: StorageRunner
  locks: Pick<StorageLocks, 'hold'>
  driver(type: PoolType): StorageDriver
  /** A change of a pool, one at a time. */
  call<M extends StorageMethod>(method: M, input: StorageInput<M>, signal?: AbortSignal): Promise<StorageOutput<M>>
}

type Methods = {[M in keyof BackupMethods]: (input: BackupMethods[M]['input']) => Promise<BackupMethods[M]['output']>}

const compress: StorageCommand = {file: 'zstd', args: ['-q', '-T0', '-c']}
const expand: StorageCommand = {file: 'zstd', args: ['-q', '-d', '-c']}

/** Makes, reads and restores backups of the volumes of this node. */
export class BackupHost {
  readonly #parts: BackupParts
  readonly #pipe: Pipe
  readonly #jobs = new Jobs()

  constructor(parts: BackupParts) {
    this.#parts = parts
    this.#pipe = parts.pipe ?? throughPrograms
  }

  methods(): Methods {
    const jobs = this.#jobs
    return {
      'backup.make': input => jobs.join(markText(input.job), (report, signal) => this.#make(input, report, signal)),
      'backup.verify': input => jobs.join(markText(input.job), (report, signal) => this.#verify(input, report, signal)),
      'backup.restore': input =>
        jobs.join(markText(input.job), (report, signal) => this.#restore(input, report, signal)),
      'backup.find': async ({target, filename}) => ({
        sizeBytes: await (await openTarget(target)).size(backupName(filename)),
      }),
      'backup.delete': async ({job, target, filename, source}) => {
        await jobs.end(job)
        await (await openTarget(target)).remove(backupName(filename))
        if (source) await this.#endReading(source, job)
        return null
      },
      'backup.end': async ({job, into}) => {
        await jobs.end(job)
        if (into && this.#driver(into).facts.send) await this.#parts.call('volume.delete', receiverOf(into, job))
        return null
      },
    }
  }

  async #make(input: BackupMaking, report: Report, signal: AbortSignal): Promise<JobResult> {
    backupName(input.filename)
    const {plans, volumes} = this.#driver(input)
    const source = (await volumes(input.pool)).find(({volume}) => volume === input.volume)
    if (!source) throw new StorageError('not_found', `There is no volume ${input.pool}/${input.volume} on this node.`)
    const {pool, type, volume, snapshot, since, job, filename, isAgain} = input
    const {call} = this.#parts
    const target = await openTarget(input.target)
    const write = async (first: StorageCommand): Promise<JobResult> => {
      // The agent that wrote it died before it could tell.
      if (isAgain && (await target.size(filename)) !== null) {
        const written = new Counted(target.read(filename, {signal}), report)
        for await (const _ of written.content()) signal.throwIfAborted()
        return written.result()
      }
      const counted = new Counted(this.#pipe([first, compress], {signal}), report)
      await target.write(filename, counted.content(), {expectedBytes: source.usedBytes, signal})
      return counted.result()
    }
    if (input.format === 'send') return write(plans.send({pool, type, volume, snapshot, ...(since ? {since} : {})}))
    const shown = plans.readSnapshot?.({pool, type, volume, snapshot})
    if (shown) {
      const work = async () => {
        await this.#run(shown.open, signal)
        return write(packing(shown.path))
      }
      const left = `The snapshot may still be shown at ${shown.path}. Unmount it there.`
      return andThen(work, {undo: () => this.#run(shown.close), left})
    }
    // Else a snapshot is read through a volume of its own.
    const reader = readerOf(input, job)
    const work = async () => {
      await call('snapshot.clone', {pool, type, volume, snapshot, to: reader.volume, mark: job}, signal)
      return write(packing(await this.#pathOf(reader)))
    }
    const left = `Volume ${pool}/${reader.volume}, through which it was read, is left on the node. Delete it there.`
    return andThen(work, {undo: () => call('volume.delete', reader), left})
  }

  /** Of a job whose agent died. */
  async #endReading(source: SnapshotName, job: string): Promise<void> {
    const {plans, facts} = this.#driver(source)
    const shown = plans.readSnapshot?.(source)
    if (shown) await this.#run(shown.close)
    else if (facts.clones) await this.#parts.call('volume.delete', {...readerOf(source, job), mark: job})
  }

  async #verify({pieces}: BackupReading, report: Report, signal: AbortSignal): Promise<JobResult> {
    const sums = {sizeBytes: 0, checksum: ''}
    for (const piece of pieces) {
      for await (const _ of checked(piece, report, signal)) signal.throwIfAborted()
      sums.sizeBytes += piece.sizeBytes
      sums.checksum = piece.checksum
    }
    return sums
  }

  /** What it leaves when it fails is taken back by who asked: a new volume is deleted, an old one is rolled back. */
  async #restore(input: BackupRestoring, report: Report, signal: AbortSignal): Promise<JobResult> {
    const {plans, facts, volumes} = this.#driver(input)
    const {pool, type, job, pieces, format, replace} = input
    const volume = volumeName(input.volume)
    const {call} = this.#parts
    // The same files may take more room than they did: a quota comes when all is there, from who asked.
    const quotaBytes = facts.sized ? input.quotaBytes : null
    const known = (await volumes(pool)).find(one => one.volume === volume)
    if (known && known.mark !== job && !(replace && format === 'tar'))
      throw new StorageError('exists', `Volume ${pool}/${volume} is there already.`)
    const into = async (command: StorageCommand, piece: BackupPiece, lock?: string) => {
      const content = checked(piece, report, signal)
      for await (const _ of this.#pipe([expand, command], {content, signal, ...(lock ? {lock} : {})}));
    }
    if (format === 'send') {
      if (!known) {
        // Under a name of its own until it is whole: what lies under the volume's name is never half of it, nor somebody else's.
        const receiver = receiverOf(input, job)
        await call('volume.delete', receiver, signal)
        for (const piece of pieces) await into(plans.receive(receiver), piece)
        const snapshots = (await this.#driver(input).snapshots(receiver)).map(one => one.snapshot)
        await this.#run(plans.adopt({...receiver, to: volume, quotaBytes, mark: job, snapshots}), signal)
      }
      await this.#run(plans.openVolume?.({pool, type, volume}) ?? [], signal)
      await this.#pathOf({pool, type, volume})
    } else {
      if (!known) await call('volume.create', {pool, type, volume, quotaBytes, mark: job}, signal)
      else if (facts.quota && !facts.sized) await call('volume.quota', {pool, type, volume, quotaBytes}, signal)
      const path = await this.#pathOf({pool, type, volume})
      // What an agent that died was unpacking has ended before.
      await this.#parts.locks.hold(`files-${poolName(pool)}-${volume}`, async lock => {
        await this.#run([emptying(path)], signal)
        for (const piece of pieces) await into(unpacking(path), piece, lock)
      })
    }
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0)
    return {sizeBytes, checksum: pieces.at(-1)?.checksum ?? ''}
  }

  async #pathOf({pool, type, volume: name}: {pool: string; type: PoolType; volume: string}): Promise<string> {
    const found = (await this.#driver({type}).volumes(pool)).find(({volume}) => volume === name)
    if (found?.path.startsWith('/')) return found.path
    throw new StorageError('failed', `Volume ${pool}/${name} is not mounted.`)
  }

  #driver({type}: {type: PoolType}) {
    const driver = this.#parts.driver(type)
    return {
      ...{plans: driver.plans, facts: driver.facts},
      volumes: (pool: string) => driver.volumes(pool),
      snapshots: driver.snapshots.bind(driver),
    }
  }

  async #run(commands: readonly StorageCommand[], signal?: AbortSignal): Promise<void> {
    for (const command of commands) await this.#parts.runner.run(command, {signal})
  }
}

/** A volume through which the snapshot is read. */
function readerOf({pool, type}: VolumeName, job: string): VolumeName {
  return {pool, type, volume: `backup-${markText(job)}`}
}

/** A volume that streams are received into. */
function receiverOf({pool, type}: VolumeName, job: string): VolumeName {
  return {pool, type, volume: `restore-${markText(job)}`}
}

/** Sorted and with numbers for owners, so that the same files give the same bytes on every machine. */
function packing(path: string): StorageCommand {
  const exactly = ['--sort=name', '--numeric-owner', '--xattrs', '--acls', '--one-file-system']
  return {
    file: 'tar',
    args: ['--create', ...exactly, '--anchored', `--exclude=./${markFiles}`, '-C', path, '-f', '-', '.'],
  }
}

function unpacking(path: string): StorageCommand {
  return {
    file: 'tar',
    args: ['--extract', '--numeric-owner', '--same-owner', '--xattrs', '--acls', '-p', '-C', path, '-f', '-'],
  }
}

function emptying(path: string): StorageCommand {
  return {file: 'find', args: [path, '-xdev', '-mindepth', '1', '-not', '-path', `${path}/${markFiles}`, '-delete']}
}
