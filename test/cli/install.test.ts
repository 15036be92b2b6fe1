import {execFile} from 'node:child_process'
import {mkdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, test} from 'vitest'
import {installService, uninstallService} from '../../src/main/service-install.ts'
import {unitText} from '../../src/main/service-unit.ts'
import {operator} from '../support/gpuctl.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const run = promisify(execFile)
const command = ['/usr/bin/node', '/usr/lib/gpuctl/bin/run.js', 'server', 'start']
const unitAt = '/etc/systemd/system/gpuctl-server.service'

test.each(['gpuctl-server', 'gpuctl-agent'] as const)('systemd takes the unit of %s', async name => {
  const folder = await temporaryDirectory('gpuctl-unit-')
  const path = join(folder, `${name}.service`)
  // The manual and the program of the package are not here; everything else in the unit is held to systemd.
  const text = unitText({name, command: [process.execPath, ...command.slice(1)]}).replace(/^Documentation=.*\n/m, '')
  await writeFile(path, text)

  const {stderr} = await run('systemd-analyze', ['verify', '--man=no', path])

  expect(stderr.split('\n').filter(line => line.includes(name))).toEqual([])
})

test('the server’s unit is open to little', async () => {
  const folder = await temporaryDirectory('gpuctl-unit-')
  const path = join(folder, 'gpuctl-server.service')
  await writeFile(path, unitText({name: 'gpuctl-server', command}))

  const {stdout} = await run('systemd-analyze', ['security', '--offline=yes', path])

  const [, exposure = '10'] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
  expect(Number(exposure)).toBeLessThan(3)
})

test('words of the command line that mean something to systemd reach the program as they were typed', () => {
  const text = unitText({name: 'gpuctl-agent', command: [...command, '--label', 'a=b c%d$e"f\\']})

  expect(text).toContain('--label "a=b c%%d$$e\\"f\\\\"\n')
  expect(() => unitText({name: 'gpuctl-agent', command: [...command, 'a\nExecStartPre=/bin/sh']})).toThrow('unit file')
})

test('install writes once, again changes nothing, and uninstall keeps the data unless all is to go', async () => {
  const root = await temporaryDirectory('gpuctl-root-')
  const service = {name: 'gpuctl-server', command} as const
  await mkdir(join(root, 'var/lib/gpuctl/server'), {recursive: true})

  expect(await installService({service, root})).toEqual({unit: join(root, unitAt), changed: true, ran: []})
  expect(await installService({service, root})).toMatchObject({changed: false})
  expect(await installService({service: {...service, command: [...command, '--ssh-port', '0']}, root})).toMatchObject({
    changed: true,
  })
  expect(await readFile(join(root, 'etc/sysusers.d/gpuctl.conf'), 'utf8')).toMatch(/^u gpuctl /)
  expect((await stat(join(root, unitAt))).mode & 0o777).toBe(0o644)

  expect(await uninstallService({name: 'gpuctl-server', root})).toEqual([join(root, unitAt)])
  expect(await uninstallService({name: 'gpuctl-server', root})).toEqual([])
  expect((await stat(join(root, 'var/lib/gpuctl/server'))).isDirectory()).toBe(true)
  expect(await uninstallService({name: 'gpuctl-server', root, purge: true})).toEqual([join(root, 'var/lib/gpuctl')])
})

test('a program in somebody’s own folder is no service, and the reason is said', async () => {
  const service = {name: 'gpuctl-server', command: ['/home/ada/.nvm/node', ...command.slice(1)]} as const

  await expect(installService({service})).rejects.toThrow("/home/ada/.nvm/node: it lies in somebody's own folder")
})

test('from the terminal: a dry run prints the unit, --root writes it, --purge wants the name of the machine', async () => {
  const ada = await operator()
  const root = join(ada.home, 'root')

  const {stdout} = await ada.ok(['agent', 'install', '--server', 'http://control:8888', '--dry-run'])
  expect(stdout).toMatch(/^ExecStart=.* agent start --server http:\/\/control:8888$/m)

  const written = await ada.json<{unit: string; changed: boolean}>(['server', 'install', '--root', root])
  expect(written).toMatchObject({unit: join(root, unitAt), changed: true})
  expect(await readFile(written.unit, 'utf8')).toContain('server start --listen 127.0.0.1:8888 --ssh-port 0\n')

  expect(await ada.run(['server', 'uninstall', '--root', root, '--purge'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--confirm'),
  })
  expect((await ada.ok(['server', 'uninstall', '--root', root])).stdout).toContain(unitAt)
  await ada.ok(['agent', 'install', '--server', 'http://control:8888', '--root', root])
  expect(await ada.run(['agent', 'uninstall', '--root', root, '--purge'])).toMatchObject({code: 2})
  expect((await ada.ok(['agent', 'uninstall', '--root', root])).stdout).toContain('gpuctl-agent.service')
  expect((await ada.ok(['agent', 'uninstall', '--root', root])).stdout).toContain('not installed')
})
