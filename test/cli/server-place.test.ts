import {mkdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {lockDirectory} from '../../src/platform/lock.ts'
import {controlPlane} from '../support/control-plane.ts'
import {type Operator, operator} from '../support/gpuctl.ts'

interface Init {
  directory: string
  made: string[]
  passwordFile: string | null
}

/** Exit code of a login at the server of this machine. */
async function loginCode({run}: Operator, url: string, username: string, password: string): Promise<number | null> {
  return (await run(['login', url, '-u', username, '--password-stdin'], {input: password})).code
}

test('init makes keys, store, administrator and settings, starts nothing, and start goes by them', {
  timeout: 60_000,
}, async () => {
  const ada = await operator()
  const init = ['server', 'init', '--non-interactive', '--listen', '127.0.0.1:0', '--tls']

  const first = await ada.json<Init>(init)

  const names = first.made.map(path => path.slice(first.directory.length + 1)).sort()
  expect(names).toEqual([...['config.json', 'first-admin-password', 'server.db', 'tls.pem', 'token-keys', 'vault-key']])
  for (const path of first.made) expect([path, (await stat(path)).mode & 0o777]).toEqual([path, 0o600])
  expect(await ada.run(['server', 'status'])).toMatchObject({code: 1})
  expect((await ada.json<Init>(init)).made).toEqual([])
  expect(await ada.json<Init>([...init.slice(0, 4), '127.0.0.1:0'])).toMatchObject({
    made: [join(first.directory, 'config.json')],
  })

  const {stdout} = await ada.ok(['server', 'start', '--detach'])
  const [, url = ''] = /at (http:\/\/127\.0\.0\.1:\d+) /.exec(stdout) ?? []
  const [, password = ''] = /Administrator: admin \/ (\S+)/.exec(stdout) ?? []
  expect(url).not.toMatch(/:8888$/)
  expect(await loginCode(ada, url, 'admin', password)).toBe(0)
  expect(await ada.run(init)).toMatchObject({code: 1, stderr: expect.stringContaining('server status')})
})

test('init takes the password from a file, and refuses what cannot be meant so', async () => {
  const ada = await operator()
  const file = join(ada.home, 'admin')
  await writeFile(file, 'short-one\n', {mode: 0o600})
  const init = ['server', 'init', '--non-interactive', '--admin-password-file', file]

  expect(await ada.run([...init, '--listen', '0.0.0.0:0'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('12 characters or more'),
  })
  expect(await ada.run([...init, '--listen', 'nowhere'])).toMatchObject({code: 2})
  const {directory, passwordFile} = await ada.json<Init>([...init, '--listen', '127.0.0.1:0'])
  expect(passwordFile).toBeNull()

  await writeFile(join(directory, 'config.json'), '{"lisen": "127.0.0.1:0"}')
  expect(await ada.run(['server', 'start'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('config.json: lisen is no setting of it; there are listen,'),
  })
})

test('restart ends the server and starts another at the same address; where none runs it starts one', {
  timeout: 60_000,
}, async () => {
  const ada = await operator()
  type Running = {urls: string[]; pid: number; stopped?: boolean}
  const before = await ada.json<Running>(['server', 'start', '--detach', '--listen', '127.0.0.1:0'])

  const after = await ada.json<Running>(['server', 'restart'])

  expect(after).toMatchObject({urls: before.urls, stopped: true})
  expect(after.pid).not.toBe(before.pid)
  await ada.ok(['server', 'stop'])
  await ada.ok(['server', 'init', '--non-interactive', '--listen', '127.0.0.1:0'])
  expect(await ada.json<Running>(['server', 'restart'])).toMatchObject({stopped: false})
})

test('a server is started with an agent, whose code it says; what cannot be meant so starts nothing', {
  timeout: 60_000,
}, async () => {
  const ada = await operator()
  const start = ['server', 'start', '--detach', '--with-agent', '--listen', '127.0.0.1:0']
  for (const [words, reason] of [
    [[...start, '--fake-gpus', 'foo'], '--fake-gpus: "foo"'],
    [[...start, '--tls'], '--with-agent starts an agent that reaches the server over http://'],
    [['server', 'start', '--with-agent'], '--detach'],
    [['server', 'start', '--detach', '--fake-gpus', '2'], '--with-agent'],
  ] as const) {
    expect(await ada.run([...words])).toMatchObject({code: 2, stderr: expect.stringContaining(reason)})
  }
  expect(await ada.run(['server', 'status'])).toMatchObject({code: 1})

  const {urls, node} = await ada.json<{urls: [string]; node: {code: string; started: boolean}}>([
    ...start,
    '--fake-gpus',
    '2xRTX4090',
  ])

  expect(node).toMatchObject({code: expect.stringMatching(/./), started: true})
  const token = (await readFile(join(ada.home, 'data', 'server', 'local-token'), 'utf8')).trim()
  Object.assign(ada.env, {GPUCTL_SERVER: urls[0], GPUCTL_TOKEN: token, GPUCTL_FAKE_GPUS: '2'})
  expect(await ada.json(['node', 'pending'])).toMatchObject([{code: node.code}])
  // The variable is the agent's; without one it means nothing.
  expect(await ada.run(['server', 'start', '--detach'])).toMatchObject({code: 0})
})

test('a password is reset on the machine of the server, whether it runs or not, and logins end', {
  timeout: 60_000,
}, async () => {
  const plane = await controlPlane()
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const place = ['--data', join(plane.directory, '..')]
  const {password} = await plane.user('ann')
  const login = await plane.login('ann', password)

  const reset = ['server', 'user-reset-password', 'ann', ...place]
  expect(await ada.run([...reset, '--password-stdin'], {input: 'Another-long-one\n'})).toMatchObject({code: 0})
  expect((await plane.ask('auth.whoami', {}, {token: login})).status).toBe(401)
  expect(await plane.login('ann', 'Another-long-one')).toMatch(/./)
  const [row] = await ada.json<object[]>(['audit', 'list', '--action', 'users.resetPassword'])
  expect(row).toMatchObject({actor: expect.stringContaining('@'), details: {username: 'ann'}})
  expect(JSON.stringify(row)).not.toContain('Another-long-one')
  expect(await ada.run(['audit', 'verify'])).toMatchObject({code: 0})

  expect(await ada.run([...reset, '--password-stdin'], {input: 'password'})).toMatchObject({code: 1})
  expect(await ada.run(reset)).toMatchObject({code: 2, stderr: expect.stringContaining('--generate')})
  expect(await ada.run(['server', 'user-reset-password', 'nobody', '--generate', ...place])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('Administrators: admin.'),
  })
  await plane.ok('users.update', {id: 'ann', enabled: false}, {token: plane.adminToken})
  expect(await ada.run([...reset, '--generate'])).toMatchObject({code: 5, stderr: expect.stringContaining('--enable')})

  const made = await ada.json<{password: string}>([...reset, '--generate', '--enable'])
  expect(await plane.login('ann', made.password)).toMatch(/./)
  await plane.stop()
  const again = await ada.json<{password: string}>([...reset, '--generate'])
  const kept = await controlPlane({directory: plane.directory})
  expect(await kept.login('ann', again.password)).toMatch(/./)
  expect(await readFile(join(plane.directory, 'server.db'), 'latin1')).not.toContain(again.password)
})

test('agent reset throws the identity away, with consent and while no agent runs; the key of the machine stays', async () => {
  const ada = await operator()
  const folder = join(ada.env.GPUCTL_DATA_DIR ?? '', 'agent')
  await mkdir(folder, {recursive: true, mode: 0o700})
  const identity = {server: 'http://control:8888', serverId: 's', nodeId: 'n', name: 'gpu-03', nodeKey: 'secret'}
  const contents = {'identity.json': JSON.stringify(identity), 'state.json': '{}', 'machine-key': 'mine'}
  for (const [name, text] of Object.entries(contents)) await writeFile(join(folder, name), text, {mode: 0o600})

  const asked = await ada.run(['agent', 'reset'])
  expect(asked).toMatchObject({code: 2, stderr: expect.stringContaining('gpu-03 leaves http://control:8888')})
  const lock = await lockDirectory(folder)
  expect(await ada.run(['agent', 'reset', '--yes'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('agent stop'),
  })
  await lock.release()
  expect(await readFile(join(folder, 'identity.json'), 'utf8')).toContain('gpu-03')

  expect(await ada.json(['agent', 'reset', '--yes'])).toEqual({
    server: 'http://control:8888',
    removed: [join(folder, 'identity.json'), join(folder, 'state.json')],
  })
  expect(await readFile(join(folder, 'machine-key'), 'utf8')).toBe('mine')
  expect(await ada.json(['agent', 'reset'])).toEqual({server: null, removed: []})
})
