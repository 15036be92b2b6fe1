import {open, rename, rm} from 'node:fs/promises'
import {hostname} from 'node:os'
import {dirname, resolve} from 'node:path'
import {syncDirectory} from '../platform/files.ts'
import {CannotStart} from './settings.ts'

/** Where a finished backup goes. Nothing that is there is ever written over. */
export interface BackupPlace {
  /** As a person would write it. */
  shown: string
  /** Where the file lies until it is whole: what is in clear lies elsewhere. */
  folder: string
  /** Puts the finished file there, under its name. */
  put(file: string, digest: {sizeBytes: number; sha256: string}): Promise<void>
  /** Takes back what was begun. */
  giveBack(): Promise<void>
}

/** Takes the name of a file of this machine. Throws CannotStart. */
export async function filePlace(path: string): Promise<BackupPlace> {
  const file = resolve(path)
  try {
    await (await open(file, 'wx', 0o600)).close()
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    const words = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`
    throw new CannotStart(`${file} ${words}.`, 'Give another path.', {cause: error})
  }
  return {
    ...{shown: file, folder: dirname(file)},
    async put(packed) {
      await rename(packed, file)
      await syncDirectory(dirname(file))
    },
    giveBack: () => rm(file, {force: true}),
  }
}

/** Tells backups of several machines and times apart: `gpuctl-control-1-20260102T030405Z.backup`. */
export function backupFileName(at = new Date()): string {
  const host = hostname().replace(/[^A-Za-z0-9-]/g, '-')
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '')
  return `gpuctl-${host.slice(0, 63)}-${time}.backup`
}
