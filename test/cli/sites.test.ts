import {expect, test} from 'vitest'
import {bytesPerGb} from '../../src/domain/storage-quota.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

test('an administrator sets storage quotas, sees who uses them up, and gives a node to another one', async () => {
  const plane = await controlPlane()
  const {nodeKey} = await plane.node('gpu-1')
  await plane.node('gpu-2')
  const sites = [
    {name: 'shop.example.com', usedBytes: 9 * bytesPerGb},
    {name: 'blog.example.com', usedBytes: 2 * bytesPerGb},
  ]
  await plane.ok('sites.report', {sites}, {token: nodeKey})
  const told = {sizeBytes: 3612358215, path: 's3://bucket/x.tar.zst', type: 'full', status: 'SUCCESS'}
  for (const day of ['26', '27']) {
    const backup = {
      ...told,
      site: 'shop.example.com',
      filename: `shop_${day}.tar.zst`,
      takenAt: `2025-12-${day}T08:22:04Z`,
    }
    await plane.ok('backups.report', backup, {token: nodeKey})
  }
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken, GPUCTL_KEYRING: 'file'})

  expect(await run(['node', 'quota', 'set', 'gpu-1', '10GB'])).toMatchObject({
    ...{code: 0, stdout: 'The sites of gpu-1 may use 10 GB of 1000 GB.\n'},
  })
  expect(await run(['node', 'quota', 'set', 'gpu-1', '2TB'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('A quota of 2048 GB is more than the 1000 GB of gpu-1.')},
  })
  expect(await run(['node', 'quota', 'set', 'gpu-1', '10.5MB'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('10.5MB is not a whole number of GB.')},
  })
  const status = await run(['node', 'quota', 'status', 'gpu-1'])
  expect(status).toMatchObject({code: 0})
  expect(status.stdout.split('\n').slice(0, 3)).toEqual([
    'The sites of gpu-1 use 11 GiB of 10 GB, 110 %: more than allowed.',
    'Sites over their own quota: 0; from 80 % on: 1.',
    `shop.example.com\t${9 * bytesPerGb}\t${10 * bytesPerGb}\t90\tfalse`,
  ])
  expect(await run(['node', 'quota', 'status', 'gpu-1', '--check'])).toMatchObject({code: 6})
  expect(await run(['node', 'quota', 'status', 'gpu-2', '--check'])).toMatchObject({code: 0})
  expect((await run(['node', 'quota', 'get', 'gpu-1'])).stdout).toContain('10 GB')
  expect(await run(['site', 'quota', 'set', 'blog.example.com', '20GB'])).toMatchObject({
    ...{code: 6, stderr: expect.stringContaining('the quota of node gpu-1 leaves 0 GB')},
  })
  expect(await run(['site', 'quota', 'set', 'blog.example.com', '1GB'])).toMatchObject({code: 0})
  expect((await run(['sites', 'ls', '-o', 'name'])).stdout).toBe('shop.example.com\nblog.example.com\n')
  expect((await run(['site', 'get', 'shop.example.com', '--json=lastBackupAt'])).stdout).toContain('2025-12-27')
  expect((await run(['backups', 'ls', '--node', 'gpu-1', '-o', 'json'])).stdout).toMatch(/shop_27.*shop_26/s)
  expect((await run(['backup', 'get', 'shop_26.tar.zst'])).stdout).toContain('s3://bucket/x.tar.zst')
  const [newest = ''] = (await run(['backup', 'list'])).stdout.split('\n')
  const [file = '', number = ''] = newest.split('\t')
  expect((await run(['backup', 'get', number])).stdout).toContain(file)
  expect(await run(['site', 'get', 'nothing'])).toMatchObject({code: 3})
  expect(await run(['storage', 'pool', 'get', 'nothing'])).toMatchObject({
    ...{code: 3, stderr: expect.stringContaining('See what there is with `gpuctl storage pool list`.')},
  })
  const target = ['backup', 'target', 'create', 'vault', '--bucket', 'backups', '--endpoint', 'https://s3.example.com']
  expect(await run([...target, '--access-key', 'AK1'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('Give --secret-stdin or --secret-file.')},
  })

  const {password} = await plane.user('ops', {role: 'node_admin'})
  const ops = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login('ops', password)})
  expect(await ops.run(['node', 'quota', 'get', 'gpu-1'])).toMatchObject({
    ...{code: 8, stderr: expect.stringContaining('Node gpu-1 is not one of yours.')},
  })
  const given = await run(['user', 'assign', 'ops', '--node', 'gpu-1', '--node', 'gpu-2'])
  expect(given).toMatchObject({code: 0, stdout: 'ops administers gpu-1.\nops administers gpu-2.\n'})
  expect(await run(['user', 'unassign', 'ops', '--node', 'gpu-2'])).toMatchObject({code: 0})
  expect((await run(['user', 'nodes', 'ops'])).stdout).toBe('gpu-1\n')
  expect(await ops.run(['node', 'quota', 'get', 'gpu-1'])).toMatchObject({code: 0})
  expect(await ops.run(['backup', 'list', '--node', 'gpu-2'])).toMatchObject({code: 8})
  const create = ['user', 'create', 'eve', '--role', 'node_admin', '--password-stdin', '--node', 'gpu-2', '--node']
  expect(await run([...create, 'none'], {input: password})).toMatchObject({code: 3})
  expect(await run([...create, 'gpu-1'], {input: password})).toMatchObject({code: 0})
  expect((await run(['user', 'nodes', 'eve'])).stdout.split('\n').sort()).toEqual(['', 'gpu-1', 'gpu-2'])
}, 90_000)

test('R8: what --force erases is shown, and the device is named once more before anything is sent', async () => {
  const device = {node: 'n1', path: '/dev/sdb', byId: '/dev/disk/by-id/x', carries: ['ext4 "photos"'], busy: false}
  const {url, asked} = await nativeServer({
    'GET /storage/devices': [device],
    'POST /storage/pools': {pool: null, task: null, commands: []},
  })
  const {run} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})
  const create = (...words: string[]) =>
    run(['storage', 'pool', 'create', 'tank', '--node', 'n1', '--device', '/dev/sdb', '--force', ...words])

  for (const words of [[], ['--confirm', '/dev/sdc'], ['--yes']]) {
    expect(await create(...words)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /erases \/dev\/sdb of n1, which carries ext4 "photos"\.[\s\S]*--confirm \/dev\/sdb/,
      ),
    })
  }
  expect(asked.filter(({method}) => method === 'POST')).toEqual([])
  await create('--confirm', '/dev/sdb')
  expect(asked.filter(({method}) => method === 'POST')).toMatchObject([{body: {device: '/dev/sdb', force: true}}])
})

test('R7: what came of a task is shown to people too, also that nothing was registered', async () => {
  const task = {id: 't', number: 7, type: 'pool.create', object: 'tank', node: 'n1', status: 'completed', progress: 100}
  const rest = {message: 'Done.', steps: [], error: null, startedAt: null, finishedAt: null, owner: 'ada'}
  const result = {poolId: 'storage-tank', poolName: 'tank', registered: false}
  const {url} = await nativeServer({'GET /tasks/7': {...task, ...rest, result}})
  const {run} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})

  const {stdout} = await run(['task', 'get', '7'])

  expect(stdout).toMatch(/^Result\s+poolId: storage-tank\n\s+poolName: tank\n\s+registered: false$/m)
})
