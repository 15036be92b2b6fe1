import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {BtrfsDriver} from '../../../src/storage/btrfs.ts'
import {DirectoryDriver} from '../../../src/storage/directory.ts'
import type {StorageCommand, StoragePlans} from '../../../src/storage/driver.ts'
import {LineFile} from '../../../src/storage/line-file.ts'
import {LvmDriver} from '../../../src/storage/lvm.ts'
import {LvmReport} from '../../../src/storage/lvm-report.ts'
import {NfsMounts} from '../../../src/storage/nfs-mount.ts'
import {NfsShares, sharePlan, unsharePlan, zfsSharePlan, zfsUnsharePlan} from '../../../src/storage/nfs-share.ts'
import {openStorage} from '../../../src/storage/registry.ts'
import {ZfsDriver} from '../../../src/storage/zfs.ts'
import {hostileTexts} from '../../support/hostile-texts.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const hostile = hostileTexts(500)
const device = '/dev/sdz'
const mark = 'task-1'
const size = 2 ** 30
const pool = {pool: 'tank', device, force: true, mark, comment: 'a pool'}
const volume = {pool: 'tank', volume: 'data'}
const snapshot = {...volume, snapshot: 's1'}
const share = {network: '192.168.3.0/24', readWrite: true, rootSquash: true}
const mount = {name: 'm', server: '192.0.2.1', exportPath: '/tank', readOnly: false}

interface Place {
  /** The same call with the text in that field. */
  input(text: string): object
  right: string
}

/** Each field of each method that changes something, with what is right there. */
const places: Partial<Record<keyof StoragePlans, readonly Place[]>> = {
  createPool: [
    {right: 'tank', input: text => ({...pool, pool: text})},
    {right: device, input: text => ({...pool, device: text})},
    {right: mark, input: text => ({...pool, mark: text})},
    {right: 'a pool', input: text => ({...pool, comment: text || 'a pool'})},
  ],
  destroyPool: [
    {right: 'tank', input: text => ({pool: text, devices: [device], wipe: true})},
    {right: device, input: text => ({pool: 'tank', devices: [text], wipe: true})},
  ],
  openPool: [
    {right: 'tank', input: text => ({pool: text, devices: [device]})},
    {right: device, input: text => ({pool: 'tank', devices: [text]})},
  ],
  openVolume: [
    {right: 'tank', input: text => ({...volume, pool: text})},
    {right: 'data', input: text => ({...volume, volume: text})},
  ],
  createVolume: [
    {right: 'tank', input: text => ({...volume, pool: text, quotaBytes: size, mark})},
    {right: 'data', input: text => ({...volume, volume: text, quotaBytes: size, mark})},
    {right: mark, input: text => ({...volume, quotaBytes: size, mark: text})},
  ],
  setQuota: [
    {right: 'tank', input: text => ({...volume, pool: text, quotaBytes: size})},
    {right: 'data', input: text => ({...volume, volume: text, quotaBytes: size})},
  ],
  deleteVolume: [
    {right: 'tank', input: text => ({...volume, pool: text})},
    {right: 'data', input: text => ({...volume, volume: text})},
  ],
  createSnapshot: [
    {right: 'tank', input: text => ({...snapshot, pool: text})},
    {right: 'data', input: text => ({...snapshot, volume: text})},
    {right: 's1', input: text => ({...snapshot, snapshot: text})},
  ],
  deleteSnapshot: [
    {right: 'tank', input: text => ({...snapshot, pool: text})},
    {right: 'data', input: text => ({...snapshot, volume: text})},
    {right: 's1', input: text => ({...snapshot, snapshot: text})},
  ],
  rollback: [
    {right: 'tank', input: text => ({...snapshot, pool: text, quotaBytes: size})},
    {right: 'data', input: text => ({...snapshot, volume: text, quotaBytes: size})},
    {right: 's1', input: text => ({...snapshot, snapshot: text, quotaBytes: size})},
  ],
  clone: [
    {right: 's1', input: text => ({...snapshot, snapshot: text, to: 'copy', mark})},
    {right: 'copy', input: text => ({...snapshot, to: text, mark})},
    {right: mark, input: text => ({...snapshot, to: 'copy', mark: text})},
  ],
}

/** Which of them a driver has no commands for. */
const without: Record<string, readonly string[]> = {
  directory: ['setQuota', 'createSnapshot', 'deleteSnapshot', 'rollback', 'clone'],
}

const runner = {read: async () => '', run: async () => {}}
const report = new LvmReport({runner})
const root = '/srv/gpuctl'
const plansOf: Record<string, StoragePlans> = {
  zfs: new ZfsDriver({runner}).plans,
  btrfs: new BtrfsDriver({root, runner}).plans,
  lvm: new LvmDriver({type: 'lvm', root, report}).plans,
  'lvm-thin': new LvmDriver({type: 'lvm-thin', root, report}).plans,
  directory: new DirectoryDriver({root, runner}).plans,
}

function readPlan(name: typeof snapshot): StorageCommand[] {
  const {open = [], close = []} = plansOf.lvm?.readSnapshot?.({...name, type: 'lvm'}) ?? {}
  return [...open, ...close]
}

describe.each(Object.entries(plansOf))('T15: %s', (type, plans) => {
  const methods = Object.entries(places).filter(
    ([method]) => plans[method as 'createPool'] !== undefined && !without[type]?.includes(method),
  )

  test.each(methods)(
    'none of 500 hostile texts in any field of %s changes the form of its commands',
    (method, fields) => {
      const plan = plans[method as 'createPool'] as (input: object) => StorageCommand[]
      for (const {input, right} of fields) checkForm(text => plan({...input(text), type}), right)
    },
  )
})

test.each<[string, (text: string) => StorageCommand[], string]>([
  ['pool of a snapshot that is read', name => readPlan({...snapshot, pool: name}), 'tank'],
  ['volume of a snapshot that is read', name => readPlan({...snapshot, volume: name}), 'data'],
  ['snapshot that is read', name => readPlan({...snapshot, snapshot: name}), 's1'],
  ['network of a ZFS share', network => zfsSharePlan('tank', {...share, network}), '192.168.3.0/24'],
  ['pool of a ZFS share', name => zfsSharePlan(name, share), 'tank'],
  ['pool of a ZFS share that goes', name => zfsUnsharePlan(name), 'tank'],
  ['network of a share', network => sharePlan('/srv/tank', {...share, network}), '192.168.3.0/24'],
  ['path of a share', path => sharePlan(path, share), '/srv/tank'],
  ['path of a share that goes', path => unsharePlan(path, share), '/srv/tank'],
  ['network of a share that goes', network => unsharePlan('/srv/tank', {...share, network}), '192.168.3.0/24'],
])('T15 T16: none of 500 hostile texts as the %s changes the form of its commands', (_, planOf, right) => {
  checkForm(planOf, right)
})

test.each<[string, (text: string) => object, string]>([
  ['name', name => ({...mount, name}), 'm'],
  ['server', server => ({...mount, server}), '192.0.2.1'],
  ['export', exportPath => ({...mount, exportPath}), '/tank'],
])('T15: none of 500 hostile texts as the %s of a mount changes the form of its commands', async (_, input, right) => {
  const storage = openStorage({directory: await temporaryDirectory(), mountRoot: '/mnt/gpuctl'})
  const lines = async (text: string) => storage.call('plan', {method: 'mount.create', input: input(text)})
  const shape = (await lines(right)).map(line => line.split(' ').length)
  let refused = 0
  for (const text of hostile) {
    const got = await lines(text).catch((error: {name: string}) => {
      if (error.name !== 'StorageError') throw error
      refused++
      return undefined
    })
    if (got) expect(got.map(line => line.split(' ').length)).toEqual(shape)
  }
  expect(refused).toBeGreaterThan(300)
})

test('T15: none of 500 hostile texts in a mount or a share makes more than one line of a table of the system', async () => {
  const here = await temporaryDirectory()
  const [fstab, exports] = [new LineFile(join(here, 'fstab')), new LineFile(join(here, 'exports'))]
  const mounts = new NfsMounts({runner, root: '/mnt/gpuctl', fstab: join(here, 'fstab')})
  const shares = new NfsShares({runner, file: join(here, 'exports')})
  const written = {mounts: 0, shares: 0}
  // Nothing is really mounted: the line is there until the mount is taken back, by this.
  const run = async () => {
    const lines = await fstab.lines()
    expect(lines.length).toBeLessThan(2)
    for (const line of lines) expect(line).toMatch(/^[\d.]+:\/[\w./-]+ \/mnt\/gpuctl\/[\w.-]+ nfs4 [\w.,=-]+ 0 0$/)
    written.mounts += lines.length
  }
  for (const text of hostile) {
    for (const field of ['name', 'server', 'exportPath']) {
      await expect(mounts.create({...mount, [field]: text}, run)).rejects.toMatchObject({name: 'StorageError'})
    }
    for (const [path, network] of [[text, share.network] as const, ['/srv/tank', text] as const]) {
      await shares.share(path, {...share, network}, null, async () => {}).catch(ofStorage)
    }
  }
  const lines = await exports.lines()
  for (const line of lines) expect(line).toMatch(/^\/[\w./-]+ [\d.]+\/\d\d\(rw,[a-z_,]+\)$/)
  expect(written.mounts).toBeGreaterThan(20)
  expect(lines.length).toBeGreaterThan(3)
}, 60_000)

function ofStorage(error: {name: string}): void {
  if (error.name !== 'StorageError') throw error
}

/** What is taken stands in the words where the right one stands, and nowhere begins an option. */
function checkForm(planOf: (text: string) => StorageCommand[], right: string): void {
  const harmless = planOf(right)
  const shape = (commands: StorageCommand[]) => commands.map(({file, args}) => [file, args.length])
  let refused = 0
  for (const text of hostile) {
    try {
      const commands = planOf(text)
      expect(shape(commands)).toEqual(shape(harmless))
      for (const [index, {args}] of commands.entries()) {
        for (const [at, word] of args.entries()) {
          const usual = harmless[index]?.args[at] ?? ''
          if (word === usual) continue
          expect(usual, `${word} in place of ${usual}`).toContain(right)
          expect(word).not.toMatch(/[\0\n\r]/)
          expect(word.startsWith('-')).toBe(usual.startsWith('-'))
        }
      }
    } catch (error) {
      if ((error as {name: string}).name !== 'StorageError') throw error
      refused++
    }
  }
  // A field that this storage has no word for is left out, whatever stands in it.
  if (harmless.some(({args}) => args.some(word => word.includes(right)))) expect(refused).toBeGreaterThan(100)
}
