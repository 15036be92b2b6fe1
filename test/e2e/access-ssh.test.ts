import {execFile} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises'
import {type AddressInfo, connect, createServer} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, type TestContext, test} from 'vitest'
import {toolsImage} from '../support/images.ts'
import {pipe} from '../support/piped.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {eventually} from '../support/wait.ts'
import {sleeper, type WholeFleet} from '../support/whole-fleet.ts'

async function place(context: TestContext) {
  const {fleet} = await sshPlace(context)
  const {name} = await fleet.running({name: 'mine', image: toolsImage, command: sleeper})
  const home = fleet.cliEnvironment.HOME as string
  return {fleet, name, home}
}

/** Runs a program of this machine as the fleet's administrator would. */
function program(
  fleet: WholeFleet,
  file: string,
  args: string[],
): Promise<{code: number; stdout: string; stderr: string}> {
  return new Promise(resolve => {
    execFile(file, args, {env: fleet.cliEnvironment, timeout: 30_000}, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code) : 0, stdout, stderr}),
    )
  })
}

test('`ssh NAME CMD` runs it through the jump host with its exit code, a pinned host key and a key of hours', async context => {
  const {fleet, name, home} = await place(context)
  const bytes = randomBytes(300_000)

  const ended = await pipe(fleet, ['ssh', name, '--', 'echo out; echo err >&2; exit 7'])
  const echoed = await pipe(fleet, ['ssh', name, 'cat'], bytes)
  const printed = await pipe(fleet, ['ssh', '--print', name, 'id'])
  const again = await pipe(fleet, ['key', 'list', '-o', 'json'])

  expect({...ended, stdout: ended.stdout.toString()}).toMatchObject({code: 7, stdout: 'out\n', stderr: 'err\n'})
  expect(echoed.stdout.equals(bytes)).toBe(true)
  expect(printed.stdout.toString()).toMatch(/^ssh -F \/dev\/null .*StrictHostKeyChecking=yes.* id\n$/)
  const keys = JSON.parse(again.stdout.toString()) as {expiresAt: string}[]
  expect(keys).toHaveLength(1)
  expect(Date.parse(keys[0]?.expiresAt ?? '') - Date.now()).toBeLessThanOrEqual(12 * 3600 * 1000)
  const [serverId = ''] = await readdir(join(home, 'ssh'))
  for (const file of await readdir(join(home, 'ssh', serverId)))
    expect([file, (await stat(join(home, 'ssh', serverId, file))).mode & 0o077]).toEqual([file, 0])
})

test('a host key that is not the pinned one ends it', async context => {
  const {fleet, name} = await place(context)
  const door = fleet.server.ssh
  const {stdout} = await pipe(fleet, ['ssh', '--print', name, 'id'])
  const known = /UserKnownHostsFile=(\S+?)"?(\s|$)/.exec(stdout.toString())?.[1] ?? ''
  const other = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'
  await writeFile(known, (await readFile(known, 'utf8')).replace(door?.publicKey ?? '?', other))
  const words = stdout.toString().trim().split(' ').slice(1)

  const refused = await program(fleet, 'ssh', words)

  expect(refused).toMatchObject({code: 255, stderr: expect.stringContaining('REMOTE HOST IDENTIFICATION HAS CHANGED')})
})

test('where the port of the jump host cannot be reached, it goes through the port of the API', async context => {
  const {fleet, name} = await place(context)
  // Another address of this machine, where only the API answers.
  const api = new URL(fleet.server.server)
  const relay = createServer(socket => {
    const far = connect(Number(api.port), api.hostname)
    for (const one of [socket, far]) one.on('error', () => {})
    socket.pipe(far).pipe(socket)
  }).listen(0, '::1')
  await once(relay, 'listening')
  onTestFinished(() => void relay.close())
  const elsewhere = `http://[::1]:${(relay.address() as AddressInfo).port}`
  const bytes = randomBytes(300_000)

  const echoed = await pipe(fleet, ['ssh', '-s', elsewhere, name, 'cat; exit 3'], bytes)
  const printed = await pipe(fleet, ['ssh', '-s', elsewhere, '--print', name])
  const plain = await pipe(fleet, ['api', 'GET', '/gpuctl/v1/ssh/tunnel'])

  expect(echoed).toMatchObject({code: 3, stderr: ''})
  expect(echoed.stdout.equals(bytes)).toBe(true)
  expect(printed.stdout.toString()).toContain('ProxyCommand=')
  expect(printed.stdout.toString()).not.toContain(fleet.cliEnvironment.GPUCTL_TOKEN)
  expect(plain.code).toBe(2)
})

test('`ssh-config write` lets ssh find instances; again changes nothing, and `remove` leaves no trace', async context => {
  const {fleet, name, home} = await place(context)
  const main = join(home, '.ssh', 'config')
  await mkdir(join(home, '.ssh'), {recursive: true})
  await writeFile(main, 'Host other\n  Port 22\n')

  const tried = await pipe(fleet, ['instance', 'ssh-config', 'write', '-n'])
  expect(tried).toMatchObject({code: 0})
  expect(tried.stdout.toString()).toContain(`Host gpuctl.${name}`)
  expect(await readFile(main, 'utf8')).toBe('Host other\n  Port 22\n')
  expect(await pipe(fleet, ['instance', 'ssh-config', 'write'])).toMatchObject({code: 0})
  expect(await pipe(fleet, ['instance', 'ssh-config', 'write'])).toMatchObject({code: 0})
  const options = ['-F', main, '-o', 'ControlPath=none']

  const said = await program(fleet, 'ssh', [...options, `gpuctl.${name}`, 'hostname; exit 5'])

  expect(said).toMatchObject({code: 5})
  expect((await readFile(main, 'utf8')).match(/Include/g)).toHaveLength(1)
  expect(await pipe(fleet, ['instance', 'ssh-config', 'remove'])).toMatchObject({code: 0})
  expect(await readFile(main, 'utf8')).toBe('Host other\n  Port 22\n')
  expect(JSON.parse((await pipe(fleet, ['key', 'list', '-o', 'json'])).stdout.toString())).toEqual([])
})

test('without OpenSSH the built-in client runs commands, and says what it cannot do', async context => {
  const {fleet, name} = await place(context)
  const env = {...fleet.cliEnvironment, GPUCTL_SSH: 'builtin'}
  const builtin = {...fleet, cliEnvironment: env} as unknown as WholeFleet

  const ended = await pipe(builtin, ['ssh', name, '--', 'cat; exit 9'], 'bytes')
  const ports = await pipe(builtin, ['ssh', '-N', '-L', '0:localhost:80', name])

  expect({...ended, stdout: ended.stdout.toString()}).toMatchObject({code: 9, stdout: 'bytes'})
  expect(ports).toMatchObject({code: 2, stderr: expect.stringContaining('carries no ports')})
})

test('an expired key opens nothing, is not shown, and makes room for the next one', async context => {
  const {fleet, name, home} = await place(context)
  expect(await pipe(fleet, ['ssh', name, 'true'])).toMatchObject({code: 0})
  const [serverId = ''] = await readdir(join(home, 'ssh'))
  const note = join(home, 'ssh', serverId, 'id_ed25519.json')
  const first = JSON.parse(await readFile(note, 'utf8')) as {id: string; expiresAt: string}

  await writeFile(note, JSON.stringify({...first, expiresAt: new Date().toISOString()}))
  expect(await pipe(fleet, ['ssh', name, 'true'])).toMatchObject({code: 0})

  const second = JSON.parse(await readFile(note, 'utf8')) as {id: string}
  expect(second.id).not.toBe(first.id)
  await eventually(async () => (await fleet.client.call('keys.list', {})).length === 2)
})
