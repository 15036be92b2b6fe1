/** Time that the CPUs spent, in the kernel's ticks since boot. Waiting for a disk is not work. */
export interface CpuTicks {
  busy: number
  total: number
}

/** File systems of this host's own disks. A network one would tell of another host's disk, and may hang. */
const localDisks = new Set(['bcachefs', 'btrfs', 'ext2', 'ext3', 'ext4', 'f2fs', 'jfs', 'xfs', 'zfs'])

/** Bridges, container ends and bonds repeat what their physical interfaces counted. */
const virtualInterface = /^(veth|docker|br-|virbr|vnet|tap|ifb|cni|flannel|cali|dummy|bond|team|wg)/

/** At most so many disks are asked in one sweep. */
const maxDisks = 64

/** Reads `/proc/stat`; undefined when it is not one. */
export function parseCpu(text: string): {ticks: CpuTicks; cpus: number} | undefined {
  const columns = /^cpu +(.+)$/m.exec(text)?.[1]?.trim().split(/ +/).map(Number)
  if (!columns || columns.length < 4 || columns.some(column => !Number.isFinite(column))) return
  // Guest time, columns 9 and 10, is already within user and nice.
  const total = columns.slice(0, 8).reduce((sum, column) => sum + column, 0)
  const waiting = (columns[3] ?? 0) + (columns[4] ?? 0)
  const cpus = text.match(/^cpu\d+ /gm)?.length ?? 1
  return {ticks: {busy: total - waiting, total}, cpus}
}

/** Reads `/proc/meminfo`. Memory that the kernel would give back when asked counts as free. */
export function parseMemory(text: string): {totalMiB: number; usedMiB: number} | undefined {
  const kibibytes = (name: string) => parseNumber(new RegExp(`^${name}: *(\\d+) kB`, 'm').exec(text)?.[1])
  const total = kibibytes('MemTotal')
  const available = kibibytes('MemAvailable') ?? kibibytes('MemFree')
  if (total === undefined || available === undefined) return
  return {totalMiB: total / 1024, usedMiB: Math.max(0, total - available) / 1024}
}

/** Sums `/proc/net/dev` over the physical interfaces, or over all but `lo` where there are only virtual ones. */
export function parseNetwork(text: string): {rxBytes: number; txBytes: number} | undefined {
  const interfaces = [...text.matchAll(/^ *([^:\s]+): *(\d+(?: +\d+){8,})/gm)].flatMap(
    ([, name = '', columns = '']) => {
      const counters = columns.split(/ +/).map(Number)
      return name === 'lo' ? [] : [{name, rxBytes: counters[0] ?? 0, txBytes: counters[8] ?? 0}]
    },
  )
  // A VLAN (eth0.12) is counted by its interface, too.
  const physical = interfaces.filter(({name}) => !virtualInterface.test(name) && !name.includes('.'))
  const counted = physical.length > 0 ? physical : interfaces
  if (!text.includes(':')) return
  return {
    rxBytes: counted.reduce((sum, {rxBytes}) => sum + rxBytes, 0),
    txBytes: counted.reduce((sum, {txBytes}) => sum + txBytes, 0),
  }
}

/**
 * One mount point for each writable local disk of `/proc/self/mounts`, and the root whatever it lies on. Read-only ones are
 * left out: a mounted image is always full. The datasets of one ZFS pool share its space, so one stands for all.
 */
export function parseMounts(text: string): string[] {
  const pathOf = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [device = '', path = '', type = '', options = ''] = line.split(' ')
    const writable = options.split(',').includes('rw')
    if (!path || !writable || !(localDisks.has(type) || path === '/')) continue
    const disk = type === 'zfs' ? device.split('/')[0]! : device
    if (!pathOf.has(disk)) pathOf.set(disk, unescapeOctal(path))
    if (pathOf.size === maxDisks) break
  }
  return [...pathOf.values()]
}

/** The number that the text begins with. */
export function parseNumber(text: string | undefined): number | undefined {
  const found = /^\s*(\d+(?:\.\d+)?)/.exec(text ?? '')?.[1]
  const value = Number(found)
  return found !== undefined && Number.isFinite(value) ? value : undefined
}

/** The kernel writes a blank in a path as `\040`. */
function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
