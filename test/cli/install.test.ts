import {execFile, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {promisify} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {installService, uninstallService} from '../../src/main/service-install.ts'
import {unitText} from '../../src/main/service-unit.ts'
import {operator} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

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

test('the agent’s mounts are those of the machine, and its devices too: nothing in its unit gives it others', () => {
  const text = unitText({name: 'gpuctl-agent', command})

  const apart =
    /^(Protect|Private|Restrict|Device|Mount|Bind|ReadOnly|ReadWrite|Inaccessible|Temporary|NoExec|Root|Dynamic)/m
  expect(text).not.toMatch(apart)
  expect(unitText({name: 'gpuctl-server', command})).toMatch(apart)
})

test('no system call that the server makes is refused by its unit', async context => {
  need(context, 'strace')
  const folder = await temporaryDirectory('gpuctl-unit-')
  const trace = join(folder, 'trace')
  const [, filter = ''] = /^SystemCallFilter=(.*)$/m.exec(unitText({name: 'gpuctl-server', command})) ?? []
  const allowed = new Set((await Promise.all(filter.split(' ').map(callsOf))).flat())
  const place = ['--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--ssh-port', '0']
  const server = spawn(
    'strace',
    ['-D', '-f', '-o', trace, process.execPath, resolve('bin/run.js'), 'server', 'start', ...place],
    {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, HOME: folder}},
  )
  const ended = once(server, 'exit')
  onTestFinished(() => void server.kill('SIGKILL'))
  let said = ''
  server.stderr.on('data', text => {
    said += text
  })
  const url = await eventually(() => /listens at (\S+)\. Ctrl-C/.exec(said)?.[1], {withinMs: 60_000})

  const {status} = await fetch(`${url}/gpuctl/v1/auth/login`, {
    ...{method: 'POST', headers: {'content-type': 'application/json'}},
    body: JSON.stringify({username: 'admin', password: 'that is not the one'}),
  })
  expect(status).toBe(401)
  server.kill('SIGTERM')
  await ended

  const whole = await eventually(async () => {
    const text = await readFile(trace, 'utf8')
    return text.includes(`${server.pid} +++ exited`) && text
  })
  const calls = new Set(
    whole.split('\n').flatMap(line => /^\d+ +(?:<\.\.\. )?([a-z]\w*)(?:\(| resumed)/.exec(line)?.[1] ?? []),
  )
  expect(calls).toContain('execve')
  expect([...calls].filter(call => !allowed.has(call))).toEqual([])
})

/** The calls of a group of systemd's, and of the groups in it. */
async function callsOf(group: string): Promise<string[]> {
  const {stdout} = await run('systemd-analyze', ['syscall-filter', group])
  const names = stdout
    .split('\n')
    .slice(1)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
  return (await Promise.all(names.map(name => (name.startsWith('@') ? callsOf(name) : [name])))).flat()
}

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
  // The server could write what it owns, and the agent, which is root, takes its variables from there.
  expect((await stat(join(root, 'etc/gpuctl'))).mode & 0o777).toBe(0o755)
  expect(await readFile(join(root, unitAt), 'utf8')).not.toContain('ConfigurationDirectory')

  expect(await uninstallService({name: 'gpuctl-server', root})).toEqual([join(root, unitAt)])
  expect(await uninstallService({name: 'gpuctl-server', root})).toEqual([])
  expect((await stat(join(root, 'var/lib/gpuctl/server'))).isDirectory()).toBe(true)
  expect(await uninstallService({name: 'gpuctl-server', root, purge: true})).toEqual([
    join(root, 'var/lib/gpuctl'),
    join(root, 'etc/sysusers.d/gpuctl.conf'),
  ])
})

test('a program in somebody’s own folder is no service, and the reason is said', async () => {
  const service = {name: 'gpuctl-server', command: ['/home/ada/.nvm/node', ...command.slice(1)]} as const

  await expect(installService({service})).rejects.toThrow("/home/ada/.nvm/node: it lies in somebody's own folder")
})

test('from the terminal: a dry run prints the unit, --root writes it, --purge wants the name of the machine', async () => {
  const ada = await operator()
  const root = join(ada.home, 'root')
  const agentInstall = ['agent', 'install', '--server', 'http://control:8888']

  const {stdout} = await ada.ok([...agentInstall, '--dry-run'])
  expect(stdout).toMatch(/^ExecStart=.* agent start --server http:\/\/control:8888$/m)
  const withToken = await ada.ok([...agentInstall, '--join-token-file', 'join-token', '--dry-run'])
  expect(withToken.stdout).toContain(` --join-token-file ${resolve('join-token')}\n`)

  const written = await ada.json<{unit: string; changed: boolean}>(['server', 'install', '--root', root])
  expect(written).toMatchObject({unit: join(root, unitAt), changed: true})
  expect(await readFile(written.unit, 'utf8')).toContain('server start --listen 127.0.0.1:8888 --ssh-port 0\n')

  expect(await ada.run(['server', 'uninstall', '--root', root, '--purge'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--confirm'),
  })
  expect((await ada.ok(['server', 'uninstall', '--root', root])).stdout).toContain(unitAt)
  await ada.ok([...agentInstall, '--root', root])
  expect(await ada.run(['agent', 'uninstall', '--root', root, '--purge'])).toMatchObject({code: 2})
  expect((await ada.ok(['agent', 'uninstall', '--root', root])).stdout).toContain('gpuctl-agent.service')
  expect((await ada.ok(['agent', 'uninstall', '--root', root])).stdout).toContain('not installed')
})
