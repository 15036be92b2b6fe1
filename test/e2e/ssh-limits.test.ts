import {once} from 'node:events'
import {readFile, rm, stat} from 'node:fs/promises'
import {createServer, connect as dial, type Socket} from 'node:net'
import {join} from 'node:path'
import ssh2 from 'ssh2'
import {describe, expect, onTestFinished, test} from 'vitest'
import {controlPlane} from '../support/control-plane.ts'
import {freePort} from '../support/docker.ts'
import {SshClient} from '../support/ssh-client.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {openTerminal} from '../support/ssh-shell.ts'
import {eventually} from '../support/wait.ts'

/** A server with a jump host and a user, and no fleet behind it. */
async function door(settings: object = {}) {
  const plane = await controlPlane({ssh: {port: 0, settings}})
  if (!plane.ssh) throw new Error('There is no jump host.')
  const client = await SshClient.start(plane.ssh)
  const {password} = await plane.user('ada')
  return {plane, client, password, ...plane.ssh}
}

/** Wrong passwords on one connection until it is cut; how many were tried. */
async function guess(port: number): Promise<number> {
  let tries = 0
  const client = new ssh2.Client()
  onTestFinished(() => void client.destroy())
  const ended = new Promise<void>(resolve => client.once('error', () => resolve()).once('close', () => resolve()))
  const authHandler = (_: unknown, __: unknown, next: (method: object) => void) => {
    if (++tries < 50) next({type: 'password', username: 'ada', password: `wrong-${tries}`})
  }
  client.connect({host: '127.0.0.1', port, username: 'ada', authHandler: authHandler as never})
  await ended
  return tries
}

function idle(port: number): Promise<Socket> {
  const socket = dial({port, host: '127.0.0.1'})
  socket.on('error', () => {}).resume()
  onTestFinished(() => void socket.destroy())
  return once(socket, 'connect').then(() => socket)
}

describe('the door', () => {
  test('T26 M15: six tries, then the connection is cut, whatever is tried', async () => {
    const {port} = await door()

    expect(await guess(port)).toBe(6)
  })

  test('T26: OpenSSH with seven keys is not asked for a password any more', async () => {
    const {client} = await door()
    const keys = await Promise.all(
      Array.from({length: 7}, async (_, n) => {
        const path = join(client.folder, `key-${n}`)
        await client.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
        return ['-i', path]
      }),
    )
    const flags = client.options([
      ...keys.flat(),
      '-v',
      '-o',
      'LogLevel=DEBUG1',
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'BatchMode=yes',
    ])

    const {stderr} = await client.run('ssh', [...flags, '-p', String(client.port), 'ada@127.0.0.1', 'true'])

    expect(stderr.match(/Offering public key/g)).toHaveLength(6)
  })

  test('T26 T9: guesses slow down the account at every door', async () => {
    const {client, plane, port} = await door()
    await guess(port)

    const blocked = await plane.ask('auth.login', {username: 'ada', password: 'Long-enough-ada'})
    expect(blocked.status).toBe(429)
    // A key is no guess: its owner gets in while the password is attacked.
    await plane.ok('keys.create', {key: client.publicKey, name: 'k'}, {token: plane.adminToken})
    expect((await client.ssh('admin+x', ['true'])).stderr).toContain('There is no instance x.')
  })

  test('T26 M15: who does not log in is cut after the grace; a crowd of idle sockets keeps nobody out', async () => {
    const {client, port, plane} = await door({loginGraceMs: 1_500})
    await plane.ok('keys.create', {key: client.publicKey}, {token: plane.adminToken})
    const sockets: Socket[] = []
    for (let n = 0; n < 1_000; n++) sockets.push(await idle(port))
    // All but 64 are gone already.
    await eventually(() => sockets.filter(({destroyed}) => !destroyed).length <= 64)

    const begin = performance.now()
    const run = await client.ssh('admin+x', ['true'])
    expect(run.stderr).toContain('There is no instance x.')
    expect(performance.now() - begin).toBeLessThan(2_000)
    await eventually(() => sockets.every(({destroyed}) => destroyed))
  })

  test('T26: junk instead of SSH harms nobody', async () => {
    const {client, port, plane} = await door()
    await plane.ok('keys.create', {key: client.publicKey}, {token: plane.adminToken})
    for (const junk of [
      'GET / HTTP/1.1\r\n\r\n',
      'SSH-1.0-old\r\n',
      `SSH-2.0-${'x'.repeat(10_000)}`,
      'SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff',
    ]) {
      const socket = await idle(port)
      socket.resume().write(junk, 'latin1')
      if (!junk.includes('x'.repeat(100))) await once(socket, 'close')
    }

    expect((await client.ssh('admin+x', ['true'])).stderr).toContain('There is no instance x.')
  })

  test('T26: the host key is ed25519, made once, private, and the same after a restart; a client stops at another', async () => {
    const {plane, client, publicKey} = await door()
    const path = join(plane.directory, 'ssh-host-key')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(publicKey).toMatch(/^ssh-ed25519 /)
    const status = await plane.ok<{ssh: {fingerprint: string; publicKey: string}}>(
      'server.status',
      {},
      {token: plane.adminToken},
    )
    expect(status.ssh).toMatchObject({publicKey, fingerprint: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/)})
    const before = await readFile(path, 'utf8')
    await plane.whileStopped(async () => {})
    expect(await readFile(path, 'utf8')).toBe(before)

    await plane.stop()
    await rm(path)
    const other = await controlPlane({directory: plane.directory, ssh: {port: client.port}})
    expect(other.ssh?.publicKey).not.toBe(publicKey)
    const run = await client.ssh('admin+x', ['true'])
    expect(run).toMatchObject({code: 255, stdout: '', stderr: expect.stringContaining('Host key verification failed')})
  })
})

describe('an open session', () => {
  test('T26: forwarding reaches the own instance and nothing else; X11, agents and -R are refused', async context => {
    const {client, fleet} = await sshPlace(context)
    const secret = createServer(socket => socket.end('secret')).listen(0, '127.0.0.1')
    await once(secret, 'listening')
    onTestFinished(() => void secret.close())
    const {port: secretPort} = secret.address() as {port: number}
    const foreign = await fleet.running({name: 'not-adas'})
    await client.ssh('ada+train', ['nc -ll -p 7000 -e echo hello >/dev/null 2>&1 & echo ok'])

    const through = (login: string, target: string) => client.ssh(login, [], {flags: ['-W', target], withinMs: 10_000})
    for (const target of ['localhost:7000', '127.0.0.1:7000', 'train:7000']) {
      await eventually(async () =>
        expect(await through('ada+train', target)).toEqual({code: 0, stdout: 'hello\n', stderr: ''}),
      )
    }
    expect(await through('ada', 'train:7000')).toMatchObject({stdout: 'hello\n'})
    for (const [login, target] of [
      ['ada+train', `127.0.0.1:${secretPort}`],
      ['ada', `127.0.0.1:${secretPort}`],
      ['ada', `localhost:${secretPort}`],
      ['ada+train', `10.0.0.1:${secretPort}`],
      ['ada', `${foreign.name}:7000`],
      ['ada+train', `${foreign.name}:7000`],
      ['ada+train', 'localhost:7001'],
    ] as const) {
      const run = await through(login, target)
      expect([login, target, run]).toEqual([login, target, {code: 255, stdout: '', stderr: expect.any(String)}])
    }

    const local = await freePort()
    const dynamic = await freePort()
    const flags = [
      '-N',
      '-L',
      `127.0.0.1:${local}:localhost:7000`,
      '-D',
      `127.0.0.1:${dynamic}`,
      '-o',
      'ExitOnForwardFailure=yes',
    ]
    const forwards = client.ssh('ada+train', [], {flags, withinMs: 8_000})
    await eventually(async () =>
      expect((await client.run('curl', ['-s', '-m', '2', `telnet://127.0.0.1:${local}`])).stdout).toBe('hello\n'),
    )
    const socks = ['-s', '-m', '2', '--socks5-hostname', `127.0.0.1:${dynamic}`, 'telnet://train:7000']
    expect((await client.run('curl', socks)).stdout).toBe('hello\n')
    await forwards

    const remote = await client.ssh('ada+train', ['true'], {
      flags: ['-R', '0:127.0.0.1:1', '-o', 'ExitOnForwardFailure=yes'],
    })
    expect(remote.code).toBe(255)
    const agent = await client.ssh('ada+train', ['env | grep -c -e SSH_AUTH_SOCK -e DISPLAY'], {
      flags: ['-A', '-X', '-o', 'ForwardX11Trusted=no'],
      env: {DISPLAY: ':0'},
    })
    expect(agent.stdout).toBe('0\n')
  })

  test('T26: it is listed, counted, and ended by kill and by a disabled account within a second', async context => {
    const {client, ada, adaId, fleet, password} = await sshPlace(context)
    const terminal = await openTerminal(client, 'ada+train')
    terminal.type('echo be""gun\r')
    await terminal.until('begun')
    const [session] = await ada.call('sessions.list', {})
    expect(session).toMatchObject({
      kind: 'ssh',
      user: 'ada',
      instance: 'train',
      address: '127.0.0.1',
      bytesIn: expect.any(Number),
    })
    expect(session?.bytesOut).toBeGreaterThan(100)
    const listed = await fleet.cli(['session', 'list', '--all'])
    expect(listed.stdout).toContain('train')

    expect(await fleet.cli(['session', 'kill', String(session?.number)])).toMatchObject({code: 0})
    await within(1_000, terminal.closed)
    await eventually(async () => (await ada.call('sessions.list', {})).length === 0)

    const second = await openTerminal(client, 'ada+train')
    const byPassword = client.sshWithPassword('ada+train', password, ['echo in; sleep 60'])
    await eventually(async () => (await ada.call('sessions.list', {})).length === 2)
    await ada.call('keys.delete', {id: 'test'})
    await within(1_000, second.closed)
    await eventually(async () => (await ada.call('sessions.list', {})).length === 1)
    const begin = performance.now()
    await fleet.client.call('users.update', {id: adaId, enabled: false})
    expect(await byPassword).toMatchObject({code: 255})
    expect(performance.now() - begin).toBeLessThan(2_000)
  })

  test('a login from which nothing comes is ended', async context => {
    const {client, ada} = await sshPlace(context, {ssh: {idleMs: 700}})

    const run = await client.ssh('ada+train', ['sleep 60'])

    expect(run.code).toBe(255)
    await eventually(async () => (await ada.call('sessions.list', {})).length === 0)
  })
})

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const begin = performance.now()
  await work
  expect(performance.now() - begin).toBeLessThan(ms)
}
