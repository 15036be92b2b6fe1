import {readdir, realpath, stat} from 'node:fs/promises'
import {join} from 'node:path'
import type {BlockDevice} from '../contract/storage-protocol.ts'
import {StorageError} from './driver.ts'
import {devicePath} from './grammar.ts'
import type {StorageRunner} from './run.ts'

const byIdFolder = '/dev/disk/by-id'
const columns = 'NAME,PATH,SIZE,TYPE,FSTYPE,LABEL,PTTYPE,MOUNTPOINT,MODEL,SERIAL,RO'

interface LsblkDevice {
  path: string
  size: number | string
  type: string
  fstype: string | null
  label: string | null
  pttype: string | null
  mountpoint: string | null
  model: string | null
  serial: string | null
  ro: boolean | string
  children?: LsblkDevice[]
}

/** The block devices of this host with what they carry. Empty loop devices and read-only media are left out. */
export async function listDevices(runner: StorageRunner): Promise<BlockDevice[]> {
  const text = await runner.read('lsblk', ['-J', '-b', '-o', columns])
  const {blockdevices} = JSON.parse(text) as {blockdevices: LsblkDevice[]}
  const names = await namesById()
  const listed = blockdevices.filter(({size, type}) => Number(size) > 0 && type !== 'rom')
  return Promise.all(listed.map(device => describe(device, names, runner)))
}

/**
 * The device behind a path: under /dev, a block device, whole, writable, not mounted and not held; one that carries data
 * only with force (wire.md, ruling 8). Throws StorageError invalid, in_use.
 */
export async function usableDevice(path: string, force: boolean, runner: StorageRunner): Promise<BlockDevice> {
  const real = await realpath(devicePath(path)).catch(() => '')
  if (!real.startsWith('/dev/'))
    throw new StorageError('invalid', `There is no device ${path}; gpuctl storage device list shows what there is.`)
  const found = await stat(real)
  if (!found.isBlockDevice()) throw new StorageError('invalid', `${path} is not a block device.`)
  const device = (await listDevices(runner)).find(one => one.path === real)
  if (!device) throw new StorageError('invalid', `${path} is not a whole device: a part of one is not taken.`)
  if (device.readOnly) throw new StorageError('invalid', `${path} can only be read.`)
  if (device.busy) throw new StorageError('in_use', `${path} is in use: ${device.carries.join('; ')}.`)
  if (device.carries.length > 0 && !force) {
    throw new StorageError('in_use', `${path} carries data: ${device.carries.join('; ')}. It is erased only by force.`)
  }
  return device
}

async function describe(device: LsblkDevice, names: Map<string, string>, runner: StorageRunner): Promise<BlockDevice> {
  const {path, size, type, model, serial, ro, children = []} = device
  const carries = [...(await signatures(device, runner)), ...children.flatMap(inWords)]
  return {
    path,
    byId: names.get(path) ?? null,
    sizeBytes: Number(size),
    model: model?.trim() ?? '',
    serial: serial ?? '',
    kind: kinds[type] ?? (type.startsWith('raid') ? 'raid' : 'other'),
    readOnly: ro === true || ro === '1',
    carries,
    busy: [device, ...children].some(isBusy),
  }
}

const kinds: Record<string, BlockDevice['kind']> = {disk: 'disk', part: 'part', loop: 'loop', lvm: 'lvm'}

/** lsblk knows only what udev noted; blkid looks at the device itself. */
async function signatures({path, mountpoint}: LsblkDevice, runner: StorageRunner): Promise<string[]> {
  const found = mountpoint ? [`mounted at ${mountpoint}`] : []
  const text = await runner.read('blkid', ['-p', '-o', 'export', path]).catch(() => '')
  const values = new Map(text.split('\n').map(line => line.split('=', 2) as [string, string]))
  const [type, label, table] = [values.get('TYPE'), values.get('LABEL'), values.get('PTTYPE')]
  if (type) found.push(label ? `${type} "${label}"` : type)
  if (table) found.push(`partition table ${table}`)
  return found
}

function inWords({path, fstype, label, mountpoint, children = []}: LsblkDevice): string[] {
  const what = [fstype, label && `"${label}"`, mountpoint && `mounted at ${mountpoint}`].filter(Boolean).join(' ')
  return [`${path}${what ? `: ${what}` : ''}`, ...children.flatMap(inWords)]
}

/** Mounted, swapped on, or the ground of something that is: of LVM, RAID, a crypt device. */
function isBusy({mountpoint, children = []}: LsblkDevice): boolean {
  return Boolean(mountpoint) || children.some(child => child.type !== 'part' || isBusy(child))
}

async function namesById(): Promise<Map<string, string>> {
  const names = await readdir(byIdFolder).catch(() => [])
  const pairs = await Promise.all(
    names
      .sort()
      .map(async name => [await realpath(join(byIdFolder, name)).catch(() => ''), join(byIdFolder, name)] as const),
  )
  return new Map(pairs.filter(([device]) => device !== '').reverse())
}
