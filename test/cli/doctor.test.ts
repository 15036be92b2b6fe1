import {chmod, mkdir, stat, writeFile} from 'node:fs/promises'
import type {AddressInfo} from 'node:net'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import type {Finding} from '../../src/contract/finding.ts'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator, type Run} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

function findings({stdout}: Run): Finding[] {
  return JSON.parse(stdout) as Finding[]
}

function finding(run: Run, check: string): Finding | undefined {
  return findings(run).find(one => one.check === check)
}

test('doctor finds nothing wrong with a server, a login and clocks that agree', async () => {
  const plane = await controlPlane()
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})

  const healthy = await run(['doctor', '-o', 'json'])
  expect(healthy.code).toBe(0)
  expect(findings(healthy)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({check: 'config', level: 'ok', message: 'The server comes from GPUCTL_SERVER.'}),
      expect.objectContaining({check: 'server', level: 'ok'}),
      expect.objectContaining({check: 'clock', level: 'ok'}),
      expect.objectContaining({check: 'login', level: 'ok', message: 'You are admin (super_admin).'}),
    ]),
  )
  const refused = await run(['doctor'], {})
  expect(refused.stdout).toMatch(/^ok\tconfig\t/)
}, 60_000)

test('doctor sees credentials that others can read, and --fix closes them (T30)', async () => {
  const {home, run} = await operator({GPUCTL_SERVER: 'http://127.0.0.1:9'})
  const config = join(home, 'config')
  const file = join(config, 'credentials.json')
  await mkdir(config, {mode: 0o700})
  await writeFile(file, '{}')
  await chmod(file, 0o644)

  const open = await run(['doctor', '-o', 'json'])
  expect(open.code).toBe(1)
  expect(finding(open, 'files')).toMatchObject({
    ...{level: 'error', message: `${file} is open to other users (mode 0644).`},
    fix: expect.stringContaining(`chmod 600 ${file}`),
  })
  expect((await stat(file)).mode & 0o777).toBe(0o644)
  const mended = await run(['doctor', '--fix', '-o', 'json'])
  expect(finding(mended, 'files')).toMatchObject({level: 'ok', message: expect.stringContaining('Mended.')})
  expect((await stat(file)).mode & 0o777).toBe(0o600)
}, 60_000)

test('doctor tells a clock that is wrong, an older server, and a token that is refused', async () => {
  const {url} = await nativeServer({
    'GET /version': (
      _: unknown,
      response: {writeHead: (status: number, headers: object) => {end: (text: string) => void}},
    ) =>
      response
        .writeHead(200, {'content-type': 'application/json', date: 'Sat, 01 Jan 2000 00:00:00 GMT'})
        .end('{"version":"0.0.1","api":"v1","serverId":"x"}'),
  })
  const {run} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'gpt_wrong'})
  const found = await run(['doctor', '-o', 'json'])
  expect(found.code).toBe(1)
  expect(finding(found, 'clock')).toMatchObject({
    level: 'error',
    message: expect.stringMatching(/ before that of the server/),
  })
  expect(finding(found, 'version')).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('The server is 0.0.1'),
  })
  expect(finding(found, 'login')).toMatchObject({level: 'error'})
}, 60_000)

test('doctor tells of a server that does not answer, and of settings that cannot be read', async () => {
  const {home, run} = await operator({GPUCTL_SERVER: 'http://127.0.0.1:9'})
  const away = await run(['doctor', '-o', 'json'])
  expect(away.code).toBe(1)
  expect(finding(away, 'server')).toMatchObject({
    level: 'error',
    message: expect.stringContaining('nothing listens there'),
  })
  await mkdir(join(home, 'config'), {mode: 0o700, recursive: true})
  await writeFile(join(home, 'config', 'config.yml'), 'contexts: [', {mode: 0o600})
  const broken = await run(['doctor', '-o', 'json'])
  expect(finding(broken, 'config')).toMatchObject({
    level: 'error',
    message: expect.stringContaining('config.yml cannot be read'),
  })
}, 60_000)

test('server doctor sees a taken port, an open folder, a damaged store and a key that does not fit', async () => {
  const {home, run} = await operator({DOCKER_HOST: `unix:///nowhere/docker.sock`})
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void taken.close())
  const {port} = taken.address() as AddressInfo
  const folder = join(home, 'data', 'server')
  await mkdir(folder, {recursive: true})
  await chmod(folder, 0o755)
  await writeFile(
    join(folder, 'server.db'),
    'not a database, whatever it says, for more than one page of it'.repeat(200),
  )

  const sick = await run([
    'server',
    'doctor',
    '--listen',
    `127.0.0.1:${port}`,
    '--tls-cert',
    '/nowhere',
    '--tls-key',
    '/no',
    '-o',
    'json',
  ])
  expect(sick.code).toBe(1)
  expect(finding(sick, 'ports')).toMatchObject({
    level: 'error',
    message: `127.0.0.1:${port} is taken by another program.`,
  })
  expect(finding(sick, 'folder')).toMatchObject({level: 'error', fix: expect.stringContaining(`chmod 700 ${folder}`)})
  expect(finding(sick, 'database')).toMatchObject({level: 'error', message: expect.stringContaining('not a database')})
  expect(finding(sick, 'TLS')).toMatchObject({
    level: 'error',
    message: expect.stringContaining('/nowhere cannot be read'),
  })
  expect(finding(sick, 'Docker')).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('No Docker Engine answers'),
  })
  expect(finding(sick, 'ssh2')).toMatchObject({level: 'ok'})
  expect(
    finding(await run(['server', 'doctor', '--listen', '127.0.0.1:0', '--fix', '-o', 'json']), 'folder'),
  ).toMatchObject({level: 'ok'})
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
}, 60_000)

test('agent doctor names a Docker socket that is not there, and says that no agent runs', async () => {
  const {run} = await operator({DOCKER_HOST: 'unix:///nowhere/docker.sock'})
  const found = await run(['agent', 'doctor', '-o', 'json'])
  expect(found.code).toBe(1)
  expect(finding(found, 'Docker')).toMatchObject({level: 'error', fix: expect.stringContaining('DOCKER_HOST')})
  expect(finding(found, 'agent')).toMatchObject({level: 'warn', fix: expect.stringContaining('gpuctl agent start')})
  expect(finding(found, 'disk')?.message).toMatch(/GiB are free/)
}, 60_000)

test('node doctor tells a node that is well from one that waits for its approval', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  await plane.joinRequest('waiting')
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const well = await run(['node', 'doctor', 'sim-0001', '-o', 'json'])
  expect(well.code).toBe(0)
  expect(findings(well).map(({check, level}) => [check, level])).toEqual(
    ['admission', 'link', 'runtime', 'GPUs', 'disk'].map(check => [check, 'ok']),
  )
  const tested = await run(['node', 'test', 'sim-0001', '--full', '-o', 'json'])
  expect([tested.code, findings(tested).map(({check}) => check)]).toEqual([0, findings(well).map(({check}) => check)])
  expect(await run(['node', 'test', 'waiting', '--full'])).toMatchObject({
    ...{code: 1, stdout: expect.stringContaining('It waits for approval.')},
  })
  const pending = await run(['node', 'doctor', 'waiting', '-o', 'json'])
  expect(pending.code).toBe(1)
  expect(findings(pending)).toMatchObject([
    {check: 'admission', level: 'error', fix: expect.stringMatching(/node approve/)},
  ])
  expect((await run(['node', 'doctor', 'none'])).code).toBe(3)
}, 60_000)
