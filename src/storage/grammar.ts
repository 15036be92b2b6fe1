import {isIPv4} from 'node:net'
import {StorageError} from './driver.ts'

// What may stand in a command (security T15). The server refuses earlier and with more words; this is the last gate.

const reservedPools = /^(mirror|raidz|draid|spare|log$|cache$|special$|dedup$|replacing|c\d)/i

/** A pool, volume group or pool folder: letters, digits, `_ . -`; begins with a letter; none of ZFS's own words. */
export function poolName(name: string): string {
  return fits(
    name,
    /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/,
    'the name of a pool',
    !reservedPools.test(name) && !name.includes('..'),
  )
}

/** A volume or snapshot: as a pool, but any beginning that is no dash or dot. */
export function volumeName(name: string): string {
  return fits(name, /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'the name of a volume', !name.includes('..'))
}

export function devicePath(path: string): string {
  return fits(path, /^\/dev\/(disk\/by-id\/|mapper\/)?[A-Za-z0-9._:-]+$/, 'a block device', !path.includes('..'))
}

/** A file name without folders (security T17). */
export function backupName(name: string): string {
  return fits(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a backup', !name.includes('..'))
}

/** A folder of the node, from its root on. */
export function folderPath(path: string): string {
  return fits(path, /^\/[A-Za-z0-9._/-]{1,500}$/, 'the path of a folder', !path.split('/').includes('..'))
}

/** Says whose work something is: a task's id. */
export function markText(mark: string): string {
  return fits(mark, /^[a-z0-9][a-z0-9-]{0,63}$/, 'a mark')
}

/** Printable, one line, at most 128 characters. */
export function commentText(comment: string): string {
  return fits(comment, /^[\x20-\x7e]{0,128}$/, 'a comment')
}

export function exportPath(path: string): string {
  return fits(path, /^\/[A-Za-z0-9._/-]{1,200}$/, 'the path of an export', !path.split('/').includes('..'))
}

export function serverAddress(address: string): string {
  return fits(address, /^[0-9.]{7,15}$/, 'an IPv4 address', isIPv4(address))
}

/** An IPv4 network in CIDR form, printed anew with its own zeros; /16 or narrower (security T16). */
export function network(cidr: string): string {
  const [, address = '', length = ''] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(cidr) ?? []
  const bits = Number(length)
  const isRight = isIPv4(address) && length !== '' && bits >= 16 && bits <= 32
  fits(cidr, /^[0-9./]{9,18}$/, 'a network of /16 or narrower, as 192.168.3.0/24', isRight)
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const masked = number - (number % 2 ** (32 - bits))
  const parts = [24, 16, 8, 0].map(shift => Math.floor(masked / 2 ** shift) % 256)
  return `${parts.join('.')}/${bits}`
}

/** A storage of Proxmox: as a pool, at least two characters. */
export function storageName(name: string): string {
  return fits(name, /^[A-Za-z][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]$/, 'the name of a storage', !name.includes('..'))
}

/** Number of a virtual machine of Proxmox. */
export function machineNumber(id: string): string {
  return fits(id, /^[1-9][0-9]{2,8}$/, 'the number of a virtual machine, 100 to 999999999')
}

/** A backup of a virtual machine, as Proxmox names it with its storage. */
export function vmArchive(name: string): string {
  const file = 'vzdump-qemu-[1-9][0-9]{2,8}-[0-9_-]{19}\\.vma(\\.(zst|gz|lzo))?|vm/[1-9][0-9]{2,8}/[0-9TZ:-]{20}'
  const pattern = new RegExp(`^[A-Za-z][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]:backup/(${file})$`)
  return fits(name, pattern, 'a backup of a virtual machine', !name.includes('..'))
}

/** A template or machine: letters, digits, `_ . -`, begins with a letter. */
export function machineName(name: string): string {
  return fits(name, /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/, 'the name of a machine', !name.includes('..'))
}

/** One component of a path, none that begins with a dot or dash (security T17). */
export function fileName(name: string): string {
  return fits(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a file')
}

/** What a storage of Proxmox is for. */
export function contentList(content: readonly string[]): string {
  const isKnown = content.length > 0 && content.every(one => one === 'images' || one === 'rootdir')
  return fits([...new Set(content)].join(','), /^[a-z,]{1,32}$/, 'a list of images and rootdir', isKnown)
}

export function nodeList(nodes: readonly string[]): string {
  return fits(nodes.map(hostName).join(','), /^.{1,4096}$/, 'a list of nodes')
}

function hostName(name: string): string {
  return fits(name, /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/, 'the name of a node of Proxmox')
}

/** Whole bytes, from 1 MiB to 1 EiB. */
export function sizeBytes(bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes >= 2 ** 20 && bytes <= 2 ** 60) return bytes
  throw new StorageError('invalid', `${bytes} is not a size between 1 MiB and 1 EiB.`)
}

function fits(text: string, pattern: RegExp, what: string, rest = true): string {
  if (typeof text === 'string' && pattern.test(text) && rest) return text
  throw new StorageError('invalid', `${JSON.stringify(String(text).slice(0, 64))} is not ${what}.`)
}
