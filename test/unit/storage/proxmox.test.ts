import {existsSync} from 'node:fs'
import {writeFile} from 'node:fs/promises'
import {hostname} from 'node:os'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import type {StorageMethod, StorageRegistration} from '../../../src/contract/storage-protocol.ts'
import {proxmoxPlans} from '../../../src/storage/proxmox.ts'
import {vmPlans} from '../../../src/storage/vm-backups.ts'
import {hostileTexts} from '../../support/hostile-texts.ts'
import {proxmoxMachine} from '../../support/proxmox.ts'
import {pveOptions} from '../../support/pve-options.ts'

const template = {id: '9000', name: 'template-base', image: 'upload.img', mark: 'task-1'}
const pool: StorageRegistration = {
  storage: 'poka',
  type: 'zfspool',
  pool: 'poka',
  content: ['images', 'rootdir'],
  nodes: ['test01'],
}
const mount: StorageRegistration = {
  storage: 'remote-poka',
  type: 'nfs',
  server: '192.168.3.50',
  exportPath: '/poka',
  content: ['images', 'rootdir'],
  nodes: ['test02', 'test03'],
}

const dump = {id: '100', storage: 'local', mark: 'abc'}
const archive = 'local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst'

const lines = (commands: {file: string; args: readonly string[]}[]) =>
  commands.map(({file, args}) => [file, ...args].join(' '))

describe('the commands', () => {
  test('W2.3-1: a template is created, gets its disk, its boot order and cloud-init, and becomes a template', () => {
    expect(lines(proxmoxPlans.template({...template, mark: 'abc'}, '/var/lib/vz/template/iso'))).toEqual([
      'qm create 9000 --name template-base --memory 1024 --net0 virtio,bridge=vmbr0 --description gpuctl-task abc',
      'qm importdisk 9000 /var/lib/vz/template/iso/upload.img local-lvm',
      'qm set 9000 --scsi0 local-lvm:vm-9000-disk-0 --boot order=scsi0 --ide2 local-lvm:cloudinit',
      'qm template 9000',
    ])
    expect(lines(proxmoxPlans.dropTemplate(template))).toEqual(['qm destroy 9000'])
  })

  test('W2.3-2 W2.3-3: a file is freed in its storage; a machine is told the address of a member', () => {
    expect(lines(proxmoxPlans.freeImage({storage: 'local', name: 'upload.img'}))).toEqual([
      'pvesm free local:iso/upload.img',
    ])
    expect(lines(proxmoxPlans.join({master: '192.168.3.5'}))).toEqual(['pvecm add 192.168.3.5 --use_ssh 1'])
  })

  test('W2.3-4 W2.3-6: pools, volume groups and exports are registered for their nodes alone', () => {
    expect(lines(proxmoxPlans.register(pool))).toEqual([
      'pvesm add zfspool poka --pool poka --content images,rootdir --nodes test01',
    ])
    expect(lines(proxmoxPlans.register({...pool, type: 'lvm'}))).toEqual([
      'pvesm add lvm poka --vgname poka --content images,rootdir --nodes test01',
    ])
    expect(lines(proxmoxPlans.register(mount))).toEqual([
      'pvesm add nfs remote-poka --server 192.168.3.50 --export /poka --content images,rootdir --nodes test02,test03',
    ])
    expect(lines(proxmoxPlans.place({storage: 'poka', nodes: ['test01', 'test03']}))).toEqual([
      'pvesm set poka --nodes test01,test03',
    ])
    expect(lines(proxmoxPlans.unregister(mount))).toEqual(['pvesm remove remote-poka'])
  })

  test('W2.3-8: a virtual machine is dumped while it runs, stopped, restored over itself and started', () => {
    expect(lines(vmPlans.backup(dump))).toEqual([
      'vzdump 100 --storage local --mode snapshot --compress zstd --notes-template gpuctl-task abc',
    ])
    expect(lines(vmPlans.power({id: '100', to: 'stopped'}))).toEqual(['qm stop 100'])
    expect(lines(vmPlans.restore({id: '100', archive}))).toEqual([`qmrestore ${archive} 100 --force 1`])
    expect(lines(vmPlans.restore({id: '200', archive, storage: 'nas'}))).toEqual([
      `qmrestore ${archive} 200 --force 1 --storage nas`,
    ])
    expect(lines(vmPlans.power({id: '100', to: 'running'}))).toEqual(['qm start 100'])
    expect(lines(vmPlans.drop({archive}))).toEqual([`pvesm free ${archive}`])
    expect(lines(vmPlans.destroy({id: '100'}))).toEqual(['qm destroy 100'])
  })

  test('each command and each of its options stands in the manual pages of Proxmox VE', () => {
    const all = [
      ...proxmoxPlans.template({...template, mark: 'abc'}, '/iso'),
      ...proxmoxPlans.dropTemplate(template),
      ...proxmoxPlans.freeImage({storage: 'local', name: 'upload.img'}),
      ...proxmoxPlans.join({master: '192.168.3.5'}),
      ...[pool, {...pool, type: 'lvm' as const}, mount].flatMap(one => proxmoxPlans.register(one)),
      ...proxmoxPlans.unregister(mount),
      ...proxmoxPlans.place(mount),
      ...[vmPlans.backup(dump), vmPlans.restore({id: '200', archive, storage: 'nas'}), vmPlans.drop({archive})].flat(),
      ...[vmPlans.power({id: '100', to: 'running'}), vmPlans.power({id: '100', to: 'stopped'})].flat(),
    ]
    for (const {file, args} of all) {
      const known = pveOptions[`${file} ${args[0]}`] ?? pveOptions[file]
      expect(known, `${file} ${args[0]}`).toBeDefined()
      for (const option of args.filter(word => word.startsWith('--'))) {
        expect(known, `${file} ${args[0]}`).toContain(option.replace(/\d+$/, '[n]'))
      }
    }
  })
})

/** Each field of each plan, with what would be right in the others. */
const fields: Record<string, {plan: (text: never) => {file: string; args: readonly string[]}[]; right: string}> = {
  'id of a template': {right: '9000', plan: id => proxmoxPlans.template({...template, id}, '/iso')},
  'name of a template': {right: 'base', plan: name => proxmoxPlans.template({...template, name}, '/iso')},
  'file of a template': {right: 'a.img', plan: image => proxmoxPlans.template({...template, image}, '/iso')},
  'mark of a template': {right: 'abc', plan: mark => proxmoxPlans.template({...template, mark}, '/iso')},
  'storage of a file': {right: 'local', plan: storage => proxmoxPlans.freeImage({storage, name: 'a.img'})},
  'name of a file': {right: 'a.img', plan: name => proxmoxPlans.freeImage({storage: 'local', name})},
  'address of a member': {right: '192.0.2.1', plan: master => proxmoxPlans.join({master})},
  'storage of a pool': {right: 'poka', plan: storage => proxmoxPlans.register({...pool, storage})},
  'type of a storage': {right: 'lvm', plan: type => proxmoxPlans.register({...pool, type})},
  'name of a pool': {right: 'poka', plan: name => proxmoxPlans.register({...pool, pool: name})},
  'content of a storage': {right: 'images', plan: one => proxmoxPlans.register({...pool, content: [one]})},
  'node of a storage': {right: 'test01', plan: one => proxmoxPlans.register({...pool, nodes: [one]})},
  'server of an export': {right: '192.0.2.1', plan: server => proxmoxPlans.register({...mount, server})},
  'path of an export': {right: '/poka', plan: exportPath => proxmoxPlans.register({...mount, exportPath})},
  'storage of some nodes': {right: 'poka', plan: storage => proxmoxPlans.place({storage, nodes: ['test01']})},
  'nodes of a storage': {right: 'test01', plan: node => proxmoxPlans.place({storage: 'poka', nodes: [node]})},
  'number of a machine that is dumped': {right: '100', plan: id => vmPlans.backup({...dump, id})},
  'storage of a dump': {right: 'local', plan: storage => vmPlans.backup({...dump, storage})},
  'mark of a dump': {right: 'abc', plan: mark => vmPlans.backup({...dump, mark})},
  'dump that is restored': {right: archive, plan: one => vmPlans.restore({id: '100', archive: one})},
  'number of a machine that is restored': {right: '100', plan: id => vmPlans.restore({id, archive})},
  'storage of a machine that is restored': {
    right: 'nas',
    plan: storage => vmPlans.restore({id: '100', archive, storage}),
  },
  'dump that goes': {right: archive, plan: one => vmPlans.drop({archive: one})},
  'number of a machine that stops': {right: '100', plan: id => vmPlans.power({id, to: 'stopped'})},
  'number of a machine that goes': {right: '100', plan: id => vmPlans.destroy({id})},
  'storage that goes': {right: 'poka', plan: storage => proxmoxPlans.unregister({storage})},
}

const hostile = hostileTexts(500)

describe.each(Object.entries(fields))('T15: %s', (_, {plan, right}) => {
  test('none of 500 hostile texts changes the form of a command', () => {
    const harmless = plan(right as never)
    const shape = harmless.map(({args}) => args.length)
    let refused = 0
    for (const text of hostile) {
      try {
        const commands = plan(text as never)
        // What is taken stands in one word, at the place of the right one, and is no option.
        expect(commands.map(({args}) => args.length)).toEqual(shape)
        const changed = commands.flatMap(({args}, index) =>
          args.filter((word, at) => word !== harmless[index]?.args[at]),
        )
        for (const word of changed) expect(word).toMatch(/^[A-Za-z0-9/][\w.:/, -]*$/)
      } catch (error) {
        if ((error as {name: string}).name !== 'StorageError') throw error
        expect(error).toMatchObject({code: 'invalid'})
        refused++
      }
    }
    expect(refused).toBeGreaterThan(300)
  })
})

const hostileCalls: [StorageMethod, (text: string) => object][] = [
  ['template.create', id => ({...template, id})],
  ['template.create', image => ({...template, image})],
  ['template.create', name => ({...template, name})],
  ['template.delete', id => ({id, name: 'a', mark: 'a'})],
  ['templates.list', id => ({id, name: 'a'})],
  ['osImage.delete', name => ({storage: 'local', name})],
  ['osImage.delete', storage => ({storage, name: 'a.img'})],
  ['storage.register', storage => ({...pool, storage})],
  ['storage.register', exportPath => ({...mount, exportPath})],
  ['storage.unregister', storage => ({storage, nodes: ['test01']})],
  ['vm.look', id => ({id})],
  ['vm.power', id => ({id, to: 'stopped'})],
  ['vm.destroy', id => ({id})],
  ['vm.backup', id => ({id, job: 'a', storage: 'local', known: []})],
  ['vm.backup', storage => ({id: '100', job: 'a', storage, known: []})],
  ['vm.backup', job => ({id: '100', job, storage: 'local', known: []})],
  ['vm.restore', job => ({id: '100', job, archive})],
  ['vm.restore', storage => ({id: '100', job: 'a', archive, storage})],
  ['vmBackups.list', id => ({storage: 'local', id})],
  ['vmBackup.find', storage => ({id: '100', storage, mark: 'a', known: []})],
  ['vm.restore', one => ({id: '100', job: 'a', archive: one})],
  ['vmBackups.list', storage => ({storage})],
  ['vmBackup.delete', one => ({archive: one})],
  ['cluster.join', address => ({address, master: '192.0.2.1'})],
  ['cluster.join', master => ({address: '192.0.2.1', master})],
]

test('T15 T17 W2.4: hostile texts come to no program of a machine, and make no file', {timeout: 120_000}, async () => {
  const machine = await proxmoxMachine()
  await writeFile(join(machine.isoFolder, 'upload.img'), 'x')
  const canary = join(machine.here, 'canary')
  const texts = [
    `$(touch ${canary})`,
    `a;touch ${canary}`,
    `\`touch ${canary}\``,
    `a\ntouch ${canary}`,
    '--help',
    '../x',
    '',
  ]
  for (const [method, input] of hostileCalls) {
    for (const text of texts) {
      await expect(machine.storage.call(method, input(text) as never), `${method} ${text}`).rejects.toMatchObject({
        name: 'StorageError',
      })
    }
  }
  expect(await machine.calls()).toEqual([])
  expect(existsSync(canary)).toBe(false)
})

test('a machine is known by its programs, its cluster by its files', async () => {
  const machine = await proxmoxMachine()
  const [node] = hostname().split('.')
  const storages = [{storage: 'local', type: 'dir', source: '', nodes: []}]
  const alone = {manager: 'proxmox', cluster: '', node, members: [], storages}
  expect(await machine.storage.call('cluster.look', {})).toEqual(alone)

  await machine.cluster(['192.168.3.5', '192.168.3.6'])
  await machine.storage.call('storage.register', mount)
  expect(await machine.storage.call('cluster.look', {})).toMatchObject({
    cluster: 'lab',
    members: ['192.168.3.5', '192.168.3.6'],
    storages: [
      ...storages,
      {storage: 'remote-poka', type: 'nfs', source: '192.168.3.50:/poka', nodes: ['test02', 'test03']},
    ],
  })
})

test('W2.3-6: machines come to a storage and go from it one by one; with the last one it goes', async () => {
  const machine = await proxmoxMachine()
  await machine.cluster(['test01', 'test02', 'test03'])
  const on = (...nodes: string[]) => machine.storage.call('storage.register', {...mount, nodes})
  const off = (...nodes: string[]) => machine.storage.call('storage.unregister', {storage: mount.storage, nodes})

  for (const change of [on('test01'), on('test02', 'test03'), on('test03'), off('test02'), off('test01', 'test03')]) {
    await change
  }

  expect((await machine.calls()).map(words => words.slice(1).join(' '))).toEqual([
    'add nfs remote-poka --server 192.168.3.50 --export /poka --content images,rootdir --nodes test01',
    'set remote-poka --nodes test01,test02,test03',
    'set remote-poka --nodes test01,test03',
    'remove remote-poka',
  ])
})

test('machines of other clusters keep no storage alive in this one', async () => {
  const machine = await proxmoxMachine()
  await machine.storage.call('storage.register', mount)
  await machine.storage.call('storage.unregister', {storage: mount.storage, nodes: ['test02']})
  expect((await machine.calls()).at(-1)).toEqual(['pvesm', 'remove', 'remote-poka'])
})

test('R7 W2.5-6: without its programs a machine has no cluster manager', async () => {
  const machine = await proxmoxMachine({env: {PATH: '/usr/bin:/bin', LC_ALL: 'C'}})
  expect(await machine.storage.call('cluster.look', {})).toMatchObject({manager: null, storages: []})
})

describe('a template', () => {
  test('W2.3-1: a repeat by the same task does nothing; another task is told that it is there', async () => {
    const machine = await proxmoxMachine()
    await writeFile(join(machine.isoFolder, 'upload.img'), 'x')
    const made = await machine.storage.call('template.create', template)
    expect(made).toEqual({id: '9000', name: 'template-base', mark: 'task-1', isReady: true})
    expect(await machine.storage.call('template.create', template)).toEqual(made)
    expect((await machine.calls()).map(([, verb]) => verb)).toEqual(['create', 'importdisk', 'set', 'template'])

    const other = {...template, mark: 'task-2'}
    await expect(machine.storage.call('template.create', other)).rejects.toMatchObject({code: 'exists'})
    await machine.storage.call('template.delete', other)
    expect(await machine.storage.call('templates.list', template)).toEqual([made])
  })

  test('one that was left half done is taken away and begun anew', async () => {
    const machine = await proxmoxMachine()
    await writeFile(join(machine.isoFolder, 'upload.img'), 'x')
    await machine.makeFail('qm set')
    await expect(machine.storage.call('template.create', template)).rejects.toMatchObject({code: 'failed'})
    await machine.makeFail('')

    await machine.storage.call('template.create', template)
    const verbs = (await machine.calls()).map(([, verb]) => verb)
    expect(verbs).toEqual(['create', 'importdisk', 'set', 'destroy', 'create', 'importdisk', 'set', 'template'])
  })
})
