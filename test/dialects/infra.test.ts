import {execFileSync, spawnSync} from 'node:child_process'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {linkedStorage} from '../support/linked-storage.ts'
import {lvmPrograms} from '../support/lvm-programs.ts'
import {proxmoxMachine} from '../support/proxmox.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {looseDisk, zfs} from '../support/zfs.ts'

/** Requests and answers of document 001, as they stand there. */
const documented = {
  template: {id: '9000', name: 'template-base', image_name: 'upload.img'},
  templateBegun: {taskId: 'task-abc123', message: 'イメージのテンプレート化を開始しました'},
  delete: {storage_id: 'local', image_name: 'upload.img'},
  deleted: {message: 'イメージを削除しました'},
  node: {node_name: 'pve-node-03', ip_address: '192.168.3.10', master_ip: '192.168.3.5'},
  nodeBegun: {taskId: 'task-def456', nodeId: 'node-003', message: 'ノードの追加を開始しました'},
  pool: {
    pool_name: 'poka',
    device: '/dev/sdb',
    storage_name: 'poka',
    node_name: 'test01',
    content: ['images', 'rootdir'],
    comment: 'UUID:550e8400-e29b-41d4-a716-446655440000',
  },
  poolBegun: {
    taskId: 'task-ghi789',
    poolId: 'storage-poka',
    poolName: 'poka',
    message: 'ストレージプールの作成を開始しました',
  },
  update: {pool_name: 'poka', network: '192.168.3.0/24', read_write: true, root_squash: false},
  updated: {poolId: 'storage-poka', poolName: 'poka', message: 'ストレージプール設定を更新しました'},
  mount: {
    storage_name: 'remote-poka',
    server_ip: '192.168.3.50',
    export_path: '/poka',
    content: ['images', 'rootdir'],
    node_name: ['test02'],
  },
  mountBegun: {taskId: 'task-jkl012', message: 'リモートストレージプールのマウントを開始しました'},
}
const taskId = expect.stringMatching(/^task-[0-9a-f-]{36}$/)
const failed = (code: string) => ({
  error: {code, message: expect.stringMatching(/./), details: expect.any(Object)},
})

type Machine = Awaited<ReturnType<typeof proxmoxMachine>>

/** A control plane with one machine that runs Proxmox VE, and one way to ask as its administrator. */
async function infra(parts: Parameters<typeof proxmoxMachine>[0] = {}, name = 'test01') {
  const plane = await controlPlane()
  const machine = await proxmoxMachine(parts)
  await linkedStorage(plane, name, machine.storage)
  return {plane, machine, ...asking(plane)}
}

function asking(plane: ControlPlane) {
  const token = plane.adminToken
  const post = (path: string, body: unknown) => plane.call('POST', `/api/agent/${path}`, {token, body})
  const put = (path: string, body: unknown) => plane.call('PUT', `/api/agent/${path}`, {token, body})
  const get = (path: string) => plane.call('GET', `/api/agent/${path}`, {token})
  /** Polls, as the document says, until the task is over. */
  const ended = async (id: string) => {
    let task: Record<string, unknown> = {}
    const isOver = async () => {
      task = (await get(`tasks/${id}`)).json
      return ['completed', 'failed'].includes(String(task.status))
    }
    await eventually(isOver, {withinMs: 30_000, what: 'the end of the task'})
    return task
  }
  return {post, put, get, ended}
}

const upload = (machine: Machine, name = 'upload.img') => writeFile(join(machine.isoFolder, name), 'an image')
const noProxmox = {env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'}}

describe('images', () => {
  test('W2.1-1 W2.3-1 W2.5-4: an uploaded image becomes a template', async () => {
    const {machine, post, ended} = await infra()
    await upload(machine)
    const begun = await post('images/template', documented.template)
    expect(begun).toMatchObject({status: 202})
    expect(begun.json).toEqual({...documented.templateBegun, taskId})

    const task = await ended(begun.json.taskId)
    expect(task).toMatchObject({
      ...{taskId: begun.json.taskId, type: 'image.template', status: 'completed', progress: 100, error: null},
      result: {templateId: '9000', name: 'template-base', node: 'test01'},
    })
    const mark = begun.json.taskId.slice('task-'.length)
    const file = join(machine.isoFolder, 'upload.img')
    expect(await machine.calls()).toEqual([
      [
        ...['qm', 'create', '9000', '--name', 'template-base', '--memory', '1024'],
        ...['--net0', 'virtio,bridge=vmbr0', '--description', `gpuctl-task ${mark}`],
      ],
      ['qm', 'importdisk', '9000', file, 'local-lvm'],
      [
        ...['qm', 'set', '9000', '--scsi0', 'local-lvm:vm-9000-disk-0'],
        ...['--boot', 'order=scsi0', '--ide2', 'local-lvm:cloudinit'],
      ],
      ['qm', 'template', '9000'],
    ])
    expect(await post('images/template', documented.template)).toMatchObject({status: 409, json: failed('NAME_TAKEN')})
  })

  test.each(['qm create', 'qm importdisk', 'qm set', 'qm template'])(
    'W2.3-1: when `%s` fails, nothing of the template stays',
    async call => {
      const {machine, post, ended} = await infra()
      await upload(machine)
      await machine.makeFail(call)
      const task = await ended((await post('images/template', documented.template)).json.taskId)
      expect(task).toMatchObject({status: 'failed', error: {code: 'STORAGE_FAILED'}})
      expect(await machine.storage.call('templates.list', {id: '9000', name: 'template-base'})).toEqual([])
      const calls = (await machine.calls()).map(words => words.slice(0, 2).join(' '))
      expect(calls).toContain(call)
      if (call !== 'qm create') expect(calls.at(-1)).toBe('qm destroy')
    },
  )

  test('W2.1-1: a template of an image that no node has is a 404', async () => {
    const {post} = await infra()
    const answer = await post('images/template', documented.template)
    expect(answer).toMatchObject({status: 404, json: failed('OS_IMAGE_MISSING')})
    const elsewhere = await post('images/template', {...documented.template, node_name: 'nobody'})
    expect(elsewhere).toMatchObject({status: 404, json: failed('NOT_FOUND')})
  })

  test.each(['images/delete', 'images/upload.img/delete', 'images/local:iso%2Fupload.img/delete'])(
    'W2.1-2 W2.3-2 W2.5-1 W2.5-3 W6.5-7: POST %s deletes the image, once',
    async path => {
      const {machine, post} = await infra()
      await upload(machine)
      expect(await post(path, documented.delete)).toMatchObject({status: 200, json: documented.deleted})
      expect(await machine.calls()).toEqual([['pvesm', 'free', 'local:iso/upload.img']])
      expect(await post(path, documented.delete)).toMatchObject({status: 404, json: failed('OS_IMAGE_MISSING')})
    },
  )

  test('W2.5-1: an id of another image than that of the body is a 400, and nothing is deleted', async () => {
    const {machine, post} = await infra()
    await upload(machine)
    const answer = await post('images/other.img/delete', documented.delete)
    expect(answer).toMatchObject({status: 400, json: failed('INPUT_INVALID')})
    expect(answer.json.error.details).toMatchObject({field: 'imageId', place: 'path'})
    expect(await machine.calls()).toEqual([])
  })
})

describe('virtual machines', () => {
  /** One of them, which holds that text. */
  async function place(text = 'first') {
    const parts = await infra()
    const {machine, post, ended} = parts
    const file = join(machine.here, 'vm-100')
    const hold = (words: string) => writeFile(file, `name: ${words}\n`)
    await hold(text)
    const done = async (path: string, body: object) => {
      const begun = await post(path, {node_name: 'test01', ...body})
      expect(begun).toMatchObject({status: 202, json: {taskId}})
      return ended(begun.json.taskId)
    }
    return {...parts, hold, held: (id = '100') => readFile(join(machine.here, `vm-${id}`), 'utf8'), done}
  }
  const archive = 'local:backup/vzdump-qemu-100-2026_01_02-03_04_00.vma.zst'

  test('W2.3-8: one that runs is backed up, overwritten with its backup, and runs again', async () => {
    const {machine, hold, held, done, plane} = await place()
    await writeFile(join(machine.here, 'vm-100.on'), '')
    const backup = await done('backups/create', {id: '100', storage_id: 'local'})
    expect(backup).toMatchObject({type: 'vm.backup', status: 'completed', result: {vm: '100', archive}})
    const token = plane.adminToken
    const [found] = await plane.ok<[object]>('vmBackups.list', {node: 'test01', vm: '100'}, {token})
    expect(found).toEqual({archive, vm: '100', storage: 'local', node: 'test01', sizeBytes: 12})

    await hold('spoilt')
    const restored = await done('backups/restore', {id: '100', backup_id: archive, force: true})
    expect(restored).toMatchObject({type: 'vm.restore', status: 'completed', result: {vm: '100', archive}})
    expect(await held()).toBe('name: first\n')
    const mark = String(backup.taskId).slice('task-'.length)
    expect(await machine.calls()).toEqual([
      [
        ...['vzdump', '100', '--storage', 'local', '--mode', 'snapshot', '--compress', 'zstd'],
        ...['--notes-template', `gpuctl-task ${mark}`],
      ],
      ['qm', 'stop', '100'],
      ['qmrestore', archive, '100', '--force', '1'],
      ['qm', 'start', '100'],
    ])
  })

  test('W2.3-8: one that is there is overwritten by force alone; a new one is made beside it', async () => {
    const {post, held, done, machine} = await place()
    await done('backups/create', {id: '100'})
    const refused = await post('backups/restore', {id: '100', backup_id: archive, node_name: 'test01'})
    expect(refused).toMatchObject({status: 409, json: failed('CONFIRMATION_MISSING')})
    expect(await done('backups/restore', {id: '200', backup_id: archive})).toMatchObject({status: 'completed'})
    expect([await held('200'), await held()]).toEqual(['name: first\n', 'name: first\n'])
    expect((await machine.calls()).map(([file, verb]) => `${file} ${verb}`)).not.toContain('qm stop')
  })

  test('W2.3-8: a dump that fails leaves nothing; a restore that fails leaves no new machine, and says what is lost', async () => {
    const {machine, done, plane} = await place()
    await machine.makeFail('vzdump 100')
    expect(await done('backups/create', {id: '100'})).toMatchObject({status: 'failed', error: {code: 'STORAGE_FAILED'}})
    const token = plane.adminToken
    expect(await plane.ok('vmBackups.list', {node: 'test01'}, {token})).toEqual([])
    await machine.makeFail('')
    await done('backups/create', {id: '100'})
    await machine.makeFail(`qmrestore ${archive}`)
    const beside = await done('backups/restore', {id: '200', backup_id: archive})
    expect(beside).toMatchObject({status: 'failed', error: {code: 'STORAGE_FAILED', details: {}}})
    expect(await machine.storage.call('vm.look', {id: '200'})).toBeNull()
    const over = await done('backups/restore', {id: '100', backup_id: archive, force: true})
    const notTakenBack = [expect.stringContaining('Restoring')]
    expect(over).toMatchObject({status: 'failed', error: {details: {notTakenBack}}})
  })

  test('W2.3-8: what is not there is a 404, and a host without Proxmox VE has no virtual machines', async () => {
    const {post} = await place()
    const create = (body: object) => post('backups/create', {node_name: 'test01', ...body})
    expect(await create({id: '999'})).toMatchObject({status: 404, json: failed('NOT_FOUND')})
    const body = {id: '100', backup_id: archive, node_name: 'test01'}
    expect(await post('backups/restore', body)).toMatchObject({status: 404, json: failed('NOT_FOUND')})
    const bare = await infra(noProxmox)
    const answer = await bare.post('backups/create', {id: '100', node_name: 'test01'})
    expect(answer).toMatchObject({status: 400, json: failed('STORAGE_INVALID')})
    expect(answer.json.error.message).toContain('no Proxmox VE')
  })
})

describe('nodes', () => {
  test('W2.1-3: a machine is recorded at once; the task says that no node has the address of a member', async () => {
    const {plane, post, ended} = await infra()
    await plane.node('second')
    const begun = await post('nodes/add', documented.node)
    expect(begun).toMatchObject({status: 202})
    expect(begun.json).toEqual({...documented.nodeBegun, taskId})
    expect(await post('nodes/add', documented.node)).toMatchObject({status: 409})

    expect(await ended(begun.json.taskId)).toMatchObject({status: 'failed', error: {code: 'MEMBER_UNKNOWN'}})
    const again = await post('nodes/add', documented.node)
    expect(again.status).toBe(202) // what failed has left no record
  })

  test('W2.1-3 W2.3-3: a machine that is a member already is added without another word', async () => {
    const {machine, post, ended} = await infra()
    await machine.cluster(['127.0.0.1', '192.168.3.10'])
    const {json} = await post('nodes/add', {...documented.node, master_ip: '127.0.0.1'})
    expect(await ended(json.taskId)).toMatchObject({
      status: 'completed',
      result: {nodeId: json.nodeId, node: 'pve-node-03', registered: true},
    })
  })

  test('R7: where the member has no cluster manager the machine is recorded, and the task says so', async () => {
    const {post, ended} = await infra(noProxmox)
    const {json} = await post('nodes/add', {...documented.node, master_ip: '127.0.0.1'})
    expect(await ended(json.taskId)).toMatchObject({status: 'completed', result: {registered: false}})
  })
})

/** A machine may have many pools, and looks at each. */
describe('storage pools', {timeout: 60_000}, () => {
  test('W2.1-4 W2.1-5 W2.3-4 W2.3-5 W2.5-2: a pool is made, registered with Proxmox, and shared', async context => {
    need(context, 'root', 'zfs')
    await zfs()
    const {machine, post, put, ended} = await infra()
    const {device, pool: name} = await looseDisk()
    const body = {...documented.pool, pool_name: name, storage_name: name, device}
    const begun = await post('storage-pools/create', body)
    expect(begun).toMatchObject({status: 202})
    expect(begun.json).toEqual({...documented.poolBegun, taskId, poolId: `storage-${name}`, poolName: name})
    expect(await ended(begun.json.taskId)).toMatchObject({
      status: 'completed',
      result: {poolId: `storage-${name}`, poolName: name, registered: true},
    })
    expect(await machine.calls()).toEqual([
      ['pvesm', 'add', 'zfspool', name, '--pool', name, '--content', 'images,rootdir', '--nodes', 'test01'],
    ])
    expect(commentOf(name)).toBe(documented.pool.comment)
    expect(await post('storage-pools/create', body)).toMatchObject({status: 409, json: failed('NAME_TAKEN')})

    await tolerateNoNfsServer(machine)
    const update = {...documented.update, pool_name: name}
    for (const id of [`storage-${name}`, name]) {
      const answer = await put(`storage-pools/${id}/update`, update)
      expect(answer).toMatchObject({
        status: 200,
        json: {...documented.updated, poolId: `storage-${name}`, poolName: name},
      })
    }
    expect(sharenfs(name)).toBe('rw=@192.168.3.0/24,no_root_squash')
    const conflict = await put('storage-pools/storage-other/update', update)
    expect(conflict).toMatchObject({status: 400, json: failed('INPUT_INVALID')})
    await put(`storage-pools/${name}/update`, {
      pool_name: name,
      network: '10.1.2.3/24',
      read_write: false,
      root_squash: true,
    })
    expect(sharenfs(name)).toBe('ro=@10.1.2.0/24')
  })

  test('W2.3-7: a pool of type lvm is a volume group on the device, registered as such; a failure takes both back', async context => {
    need(context, 'root')
    const poolRoot = await temporaryDirectory()
    const {machine, post, ended} = await infra({poolRoot})
    await lvmPrograms(machine.here)
    const {device, pool: name} = await looseDisk()
    onTestFinished(() => void spawnSync('umount', ['-l', join(poolRoot, name)]))
    const body = {...documented.pool, pool_name: name, storage_name: name, device, type: 'lvm'}
    const create = async () => {
      const {json} = await post('storage-pools/create', body)
      return {task: await ended(json.taskId), mark: json.taskId.slice('task-'.length)}
    }
    const made = (mark: string) => [
      ['vgcreate', '-y', '--addtag', `gpuctl:${mark}`, '--addtag', 'gpuctl-type:lvm', name, device],
      ['vgchange', '-ay', name],
      ['pvesm', 'add', 'lvm', name, '--vgname', name, '--content', 'images,rootdir', '--nodes', 'test01'],
    ]

    await machine.makeFail('pvesm add')
    const first = await create()
    expect(first.task).toMatchObject({status: 'failed', error: {code: 'STORAGE_FAILED'}})
    const undone = [
      ['vgchange', '-an', name],
      ['pvremove', '-y', '-ff', device],
    ]
    expect(await machine.calls()).toEqual([...made(first.mark), ...undone])

    await machine.makeFail('')
    const second = await create()
    expect(second.task).toMatchObject({status: 'completed', result: {poolName: name, registered: true}})
    expect((await machine.calls()).slice(-3)).toEqual(made(second.mark))
    expect(await post('storage-pools/create', body)).toMatchObject({status: 409, json: failed('NAME_TAKEN')})
  })

  test('R7 W2.5-6: without Proxmox the pool is made and the registration skipped', async context => {
    need(context, 'root', 'zfs')
    await zfs()
    const {post, ended} = await infra(noProxmox)
    const {device, pool: name} = await looseDisk()
    const begun = await post('storage-pools/create', {...documented.pool, pool_name: name, device})
    expect(await ended(begun.json.taskId)).toMatchObject({status: 'completed', result: {registered: false}})
    expect(zpool('health', name)).toBe('ONLINE')
  })

  test('a pool that cannot be registered is taken back', async context => {
    need(context, 'root', 'zfs')
    await zfs()
    const {machine, post, ended} = await infra()
    const {device, pool: name} = await looseDisk()
    await machine.makeFail('pvesm add')
    const begun = await post('storage-pools/create', {...documented.pool, pool_name: name, storage_name: name, device})
    expect(await ended(begun.json.taskId)).toMatchObject({status: 'failed', error: {code: 'STORAGE_FAILED'}})
    expect((await machine.calls()).map(([file, verb]) => `${file} ${verb}`)).toContain('pvesm add')
    expect(() => zpool('health', name)).toThrow()
  })

  test('R8: a device that carries data is a 409 unless it is forced', async context => {
    need(context, 'root', 'zfs')
    await zfs()
    const {post, ended} = await infra(noProxmox)
    const {device, pool: name} = await looseDisk()
    execFileSync('mkfs.ext4', ['-q', '-L', 'photos', device])
    const body = {...documented.pool, pool_name: name, device}
    const refused = await post('storage-pools/create', body)
    expect(refused).toMatchObject({status: 409, json: failed('STORAGE_IN_USE')})
    expect(refused.json.error.message).toContain('photos')
    const begun = await post('storage-pools/create', {...body, force: true})
    expect(await ended(begun.json.taskId)).toMatchObject({status: 'completed'})
  })

  test('W2.1-2: what fails on the node is a 500 in the envelope', async () => {
    const {machine, post} = await infra()
    await upload(machine)
    await machine.makeFail('pvesm free')
    const answer = await post('images/delete', documented.delete)
    expect(answer).toMatchObject({status: 500, json: failed('STORAGE_FAILED')})
    expect(answer.json.error.message).toContain('pvesm free refused')
  })

  test('W2.1-4: an unknown node is a 404, a bad field a 400 that names it', async () => {
    const {post} = await infra()
    const unknown = await post('storage-pools/create', {...documented.pool, node_name: 'nobody'})
    expect(unknown).toMatchObject({status: 404, json: failed('NOT_FOUND')})
    for (const [field, value] of Object.entries({
      pool_name: 'mirror',
      device: 'sdb; rm -rf /',
      storage_name: '-x',
      content: ['iso'],
      comment: 'a\nb',
      type: 'btrfs',
    })) {
      const answer = await post('storage-pools/create', {...documented.pool, [field]: value})
      expect(answer, field).toMatchObject({status: 400, json: failed('INPUT_INVALID')})
      expect(answer.json.error.details.field).toMatch(new RegExp(`^${field}`))
    }
  })

  test.each([
    'storage-pools/mount-remote',
    'storage-pools/storage-remote-poka/mount-remote',
    'storage-pools/poka/mount-remote',
  ])('W2.1-6 W2.5-1 W6.5-7: POST %s begins a task; a mount that fails leaves nothing registered', async path => {
    // No mount is made here: the program is one that refuses.
    const {machine, post, ended} = await infra({}, 'test02')
    await mkdir(join(machine.here, 'bin'), {recursive: true})
    await writeFile(join(machine.here, 'bin', 'mount'), '#!/bin/sh\necho "no route" >&2\nexit 32\n', {mode: 0o755})
    const begun = await post(path, documented.mount)
    expect(begun).toMatchObject({status: 202})
    expect(begun.json).toEqual({...documented.mountBegun, taskId})
    expect(await ended(begun.json.taskId)).toMatchObject({
      status: 'failed',
      error: {code: 'STORAGE_FAILED', message: expect.stringContaining('no route')},
    })
    expect(await machine.config()).not.toContain('remote-poka')
  })

  test('W2.5-1: the id of another pool is a 400', async () => {
    const {post} = await infra({}, 'test02')
    const answer = await post('storage-pools/storage-other/mount-remote', documented.mount)
    expect(answer).toMatchObject({status: 400, json: failed('INPUT_INVALID')})
  })
})

describe('W2.2: tasks', () => {
  test('have their times, their log and their events; foreign ones look absent', async () => {
    const {plane, machine, post, get, ended} = await infra()
    await upload(machine)
    const {taskId: id} = (await post('images/template', documented.template)).json
    const task = await ended(id)
    expect(Object.keys(task).sort()).toEqual(
      [
        ...['taskId', 'type', 'status', 'progress', 'message', 'result', 'error'],
        ...['createdAt', 'startedAt', 'finishedAt', 'log'],
      ].sort(),
    )
    expect(task.log).toContainEqual(expect.stringContaining('Making template 9000'))

    const listed = await get('tasks?status=completed&type=image.template&limit=1')
    expect(listed.json).toMatchObject([{taskId: id, status: 'completed'}])
    expect((await get('tasks?status=failed')).json).toEqual([])
    expect(await get('tasks?status=over')).toMatchObject({status: 400, json: failed('INPUT_INVALID')})
    expect(await get('tasks/task-none')).toMatchObject({status: 404, json: failed('NOT_FOUND')})

    const {text, headers} = await get(`tasks/${id}/events`)
    expect(headers['content-type']).toContain('text/event-stream')
    const [, data = ''] = /^data: (.*)$/m.exec(text) ?? []
    expect(JSON.parse(data)).toMatchObject({taskId: id, status: 'completed'})

    const {password} = await plane.user('bob')
    const token = await plane.login('bob', password)
    expect(await plane.call('GET', `/api/agent/tasks/${id}`, {token})).toMatchObject({status: 404})
    expect((await plane.call('GET', '/api/agent/tasks', {token})).json).toEqual([])
  })
})

describe('W2.5-5 W6.5-8: who may', () => {
  test('nobody without a token, nobody without the role, and all in the same envelope', async () => {
    const plane = await controlPlane()
    const {password} = await plane.user('bob')
    const token = await plane.login('bob', password)
    const paths: [string, string, unknown][] = [
      ['POST', 'images/template', documented.template],
      ['POST', 'images/delete', documented.delete],
      ['POST', 'nodes/add', documented.node],
      ['POST', 'storage-pools/create', documented.pool],
      ['PUT', 'storage-pools/storage-poka/update', documented.update],
      ['POST', 'storage-pools/mount-remote', documented.mount],
    ]
    for (const [method, path, body] of paths) {
      const anonymous = await plane.call(method, `/api/agent/${path}`, {body})
      expect(anonymous, path).toMatchObject({status: 401, json: failed('LOGIN_REQUIRED')})
      const lowly = await plane.call(method, `/api/agent/${path}`, {body, token})
      expect(lowly, path).toMatchObject({status: 403, json: failed('ROLE_TOO_LOW')})
    }
    const wrong = await plane.call('GET', '/api/agent/images/template', {token})
    expect(wrong).toMatchObject({status: 405, json: failed('METHOD_UNKNOWN')})
    const unknown = await plane.call('GET', '/api/agent/nothing', {token})
    expect(unknown).toMatchObject({status: 404, json: failed('ROUTE_UNKNOWN')})
    const broken = await plane.call('POST', '/api/agent/nodes/add', {token: plane.adminToken, raw: '{'})
    expect(broken).toMatchObject({status: 400, json: failed('INPUT_UNREADABLE')})
  })
})

/** Where no kernel serves NFS the property is kept all the same, which is what is looked at here; the server is told to be there. */
async function tolerateNoNfsServer({here}: Machine): Promise<void> {
  const script = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
zfs "$@" 2>'${here}/zfs-said'
code=$?
[ "$1" = set ] && grep -q 'exportfs failed' '${here}/zfs-said' && exit 0
cat '${here}/zfs-said' >&2
exit $code
`
  await writeFile(join(here, 'bin', 'zfs'), script, {mode: 0o755})
  await writeFile(join(here, 'bin', 'rpcinfo'), '#!/bin/sh\nexit 0\n', {mode: 0o755})
}

function zpool(property: string, name: string): string {
  return execFileSync('zpool', ['list', '-H', '-o', property, name], {encoding: 'utf8', stdio: 'pipe'}).trim()
}

/** Where this ZFS keeps it. */
function commentOf(name: string): string {
  try {
    return zpool('comment', name)
  } catch {
    return execFileSync('zfs', ['get', '-H', '-o', 'value', 'gpuctl:comment', name], {encoding: 'utf8'}).trim()
  }
}

function sharenfs(name: string): string {
  return execFileSync('zfs', ['get', '-H', '-o', 'value', 'sharenfs', name], {encoding: 'utf8'}).trim()
}
