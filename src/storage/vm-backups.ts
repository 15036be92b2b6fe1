import {readFile} from 'node:fs/promises'
import type {
  BackupJobState,
  FoundVmBackup,
  StorageInput,
  StorageMethod,
  StorageOutput,
} from '../contract/storage-protocol.ts'
import {Jobs} from './backup/jobs.ts'
import {type StorageCommand, StorageError} from './driver.ts'
import {machineNumber, markText, storageName, vmArchive} from './grammar.ts'
import type {StorageLocks} from './locks.ts'
import type {Proxmox} from './proxmox.ts'
import type {StorageRunner} from './run.ts'

/** A machine of terabytes takes hours. */
const archiveMs = 12 * 60 * 60_000
const powerMs = 10 * 60_000
const gone = /does not exist|no such|unable to find configuration/i

/**
 * What is typed; options as the manual pages of qm and pvesm and the API of vzdump name them. Those of qmrestore are not
 * checked against a source, and none of it was tried on a real Proxmox VE.
 */
export const vmPlans = {
  /** The note tells whose work it is. */
  backup: ({id, storage, mark}: {id: string; storage: string; mark: string}): StorageCommand[] => {
    const how = ['--mode', 'snapshot', '--compress', 'zstd', '--notes-template', noteOf(mark)]
    return [
      {file: 'vzdump', args: [machineNumber(id), '--storage', storageName(storage), ...how], longestMs: archiveMs},
    ]
  },

  /** Over the one of that number, if there is one. */
  restore: ({id, archive, storage}: {id: string; archive: string; storage?: string | undefined}): StorageCommand[] => {
    const place = storage === undefined ? [] : ['--storage', storageName(storage)]
    const args = [vmArchive(archive), machineNumber(id), '--force', '1', ...place]
    return [{file: 'qmrestore', args, longestMs: archiveMs}]
  },

  power: ({id, to}: {id: string; to: 'running' | 'stopped'}): StorageCommand[] => [
    {file: 'qm', args: [to === 'running' ? 'start' : 'stop', machineNumber(id)], longestMs: powerMs},
  ],

  drop: ({archive}: {archive: string}): StorageCommand[] => [
    {file: 'pvesm', args: ['free', vmArchive(archive)], fine: gone},
  ],

  destroy: ({id}: {id: string}): StorageCommand[] => [{file: 'qm', args: ['destroy', machineNumber(id)], fine: gone}],
}

type VmMethod = Extract<StorageMethod, `${'vm' | 'vmBackup' | 'vmBackups'}.${string}`>
type Methods = {[M in VmMethod]: (input: StorageInput<M>) => Promise<StorageOutput<M>>}

interface VmParts {
  proxmox: Proxmox
  runner: StorageRunner
  locks: StorageLocks
}

/** Backups of the virtual machines of a node with Proxmox VE, made and brought back by its own programs (wire.md 2.3). */
export class VmBackups {
  readonly #parts: VmParts
  readonly #jobs = new Jobs()

  constructor(parts: VmParts) {
    this.#parts = parts
  }

  methods(): Methods {
    const {proxmox} = this.#parts
    return {
      'vm.look': async ({id}) => {
        await this.#checkPresent()
        const found = await proxmox.machine(id)
        if (!found) return null
        const status = await this.#parts.runner.read('qm', ['status', machineNumber(id)])
        return {name: found.name, isRunning: /status:\s*running/.test(status)}
      },
      'vm.power': async ({id, to}) => this.#change(id, lock => this.#run(vmPlans.power({id, to}), {lock})),
      'vm.destroy': async ({id}) => this.#change(id, lock => this.#run(vmPlans.destroy({id}), {lock})),
      'vm.backup': input => this.#jobs.join(markText(input.job), (_, signal) => this.#backup(input, signal)),
      'vm.restore': ({job, ...input}) =>
        this.#jobs.join(markText(job), async (_, signal) => {
          await this.#change(input.id, lock => this.#run(vmPlans.restore(input), {lock, signal}))
          return {sizeBytes: 0, checksum: ''}
        }),
      'vm.end': async ({job}) => {
        await this.#jobs.end(job)
        return null
      },
      'vmBackups.list': ({storage, id}) => this.#list(storage, id),
      'vmBackup.find': input => this.#find(input),
      'vmBackup.delete': async ({archive}) => {
        await this.#run(vmPlans.drop({archive}), {})
        return null
      },
    }
  }

  /** What a dump that was cut off by the end of an agent has left running is waited for: it may have made all of it. */
  async #backup({job, id, storage, known}: StorageInput<'vm.backup'>, signal: AbortSignal) {
    const made = {storage, id, mark: job, known}
    await this.#change(id, async lock => {
      if (await this.#find(made)) return null
      return this.#run(vmPlans.backup({id, storage, mark: job}), {lock, signal})
    })
    const found = await this.#find(made)
    if (!found) throw new StorageError('failed', `A backup of ${id} was made, and is not in ${storage}.`)
    return {sizeBytes: found.sizeBytes, checksum: ''} satisfies Partial<BackupJobState>
  }

  /** By its note; where the storage keeps notes elsewhere than in files, it is the only new one. */
  async #find({storage, id, mark, known}: StorageInput<'vmBackup.find'>): Promise<FoundVmBackup | null> {
    const fresh = (await this.#list(storage, id)).filter(({archive}) => !known.includes(archive))
    const notes = await Promise.all(fresh.map(({archive}) => this.#noteOf(archive)))
    const [only, ...more] = fresh.filter((_, index) => notes[index] === undefined)
    return fresh.find((_, index) => notes[index] === noteOf(mark)) ?? (more.length === 0 ? only : undefined) ?? null
  }

  async #list(storage: string, id: string | undefined): Promise<FoundVmBackup[]> {
    await this.#checkPresent()
    const ofOne = id === undefined ? [] : ['--vmid', machineNumber(id)]
    const text = await this.#parts.runner.read('pvesm', ['list', storageName(storage), '--content', 'backup', ...ofOne])
    const rows = text.matchAll(/^(\S+:backup\/(?:vzdump-qemu-|vm\/)\S+)\s+\S+\s+backup\s+(\d+)\s+(\d+)\s*$/gm)
    return [...rows].map(([, archive = '', sizeBytes, found = '']) => ({
      ...{archive, storage, id: found, sizeBytes: Number(sizeBytes)},
    }))
  }

  async #noteOf(archive: string): Promise<string | undefined> {
    const path = (await this.#parts.runner.read('pvesm', ['path', vmArchive(archive)])).trim()
    return readFile(`${path}.notes`, 'utf8').then(
      text => text.trim(),
      () => undefined,
    )
  }

  async #checkPresent(): Promise<void> {
    if (await this.#parts.proxmox.isPresent()) return
    throw new StorageError('unsupported', 'This node has no Proxmox VE, and so no virtual machines.')
  }

  #change<T>(id: string, work: (lock: string) => Promise<T>): Promise<T> {
    return this.#parts.locks.hold(`vm-${machineNumber(id)}`, work, archiveMs)
  }

  async #run(commands: readonly StorageCommand[], options: {lock?: string; signal?: AbortSignal}): Promise<null> {
    for (const command of commands) await this.#parts.runner.run(command, options)
    return null
  }
}

function noteOf(mark: string): string {
  return `gpuctl-task ${markText(mark)}`
}
