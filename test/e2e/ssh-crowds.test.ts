import {readdirSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {connect, type Socket} from 'node:net'
import {join} from 'node:path'
import ssh2, {type ClientChannel} from 'ssh2'
import {expect, onTestFinished, test} from 'vitest'
import {Client} from '../../src/client/client.ts'
import {ServerProcess} from '../bench/server-process.ts'
import {memoryMiB} from '../bench/usage.ts'
import {inParallel} from '../support/control-plane.ts'
import {freePort} from '../support/docker.ts'
import {program} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {SshClient} from '../support/ssh-client.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

/** The soak asks for 10,000 and 200. */
const idleSockets = Number(process.env.GPUCTL_TEST_IDLE_SOCKETS ?? 1_000)
const openSessions = Number(process.env.GPUCTL_TEST_SSH_SESSIONS ?? 20)

/** Dials so many sockets that say nothing, a hundred at a time, from 5,000 addresses of this machine. */
function crowd(port: number, size: number) {
  const open = new Set<Socket>()
  const numbers = Array.from({length: size}, (_, n) => n)
  let failed = 0
  const dial = async (n: number) => {
    const from = n % 5_000
    const localAddress = `127.0.${1 + Math.floor(from / 250)}.${1 + (from % 250)}`
    const socket = connect({port, host: '127.0.0.1', localAddress}).resume()
    socket.on('error', () => failed++)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    await new Promise<void>(resolve => socket.once('connect', resolve).once('close', () => resolve()))
  }
  let isThere = false
  const allCame = inParallel(numbers, 100, dial).then(() => {
    isThere = true
  })
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
  })
  return {open, allCame, isThere: () => isThere, failed: () => failed}
}

async function serverWithDoor() {
  const port = await freePort()
  const server = await ServerProcess.start({program, data: await temporaryDirectory('gpuctl-crowd-'), sshPort: port})
  onTestFinished(async () => void (await server.stop()))
  const admin = new Client({
    target: async () => ({server: server.url, token: server.token}),
    userAgent: 'gpuctl-test',
    timeoutMs: 10_000,
  })
  const {ssh} = await admin.call('server.status', {})
  if (!ssh) throw new Error('There is no jump host.')
  const client = await SshClient.start(ssh)
  await admin.call('keys.create', {key: client.publicKey})
  return {server, client, port}
}

const descriptors = (pid: number) => readdirSync(`/proc/${pid}/fd`).length

test(`T26: while ${idleSockets} idle sockets come, and when they have come, a login takes at most 2 s`, async context => {
  need(context, 'ssh', 'linux')
  const {server, client, port} = await serverWithDoor()
  const before = {descriptors: descriptors(server.pid), mebibytes: memoryMiB(server.pid).now}
  const tookMs: number[] = []
  const login = async () => {
    const begin = performance.now()
    const run = await client.ssh('admin+x', ['true'])
    expect(run).toMatchObject({code: 255, stderr: expect.stringContaining('There is no instance x.')})
    tookMs.push(Math.round(performance.now() - begin))
  }

  const {open, allCame, isThere, failed} = crowd(port, idleSockets)
  do await login()
  while (!isThere())
  await allCame
  await login()

  expect(failed()).toBe(0)
  expect(Math.max(...tookMs)).toBeLessThan(2_000)
  // The server keeps the 64 that it may; all others were cut.
  await eventually(() => descriptors(server.pid) <= before.descriptors + 70)
  await eventually(() => open.size <= 64)
  const mebibytes = memoryMiB(server.pid)
  console.log(
    `${idleSockets} idle sockets: the slowest of ${tookMs.length} logins took ${Math.max(...tookMs)} ms; the server had ${Math.round(before.mebibytes)} MiB before, ${Math.round(mebibytes.peak)} at most`,
  )
})

/** Logs in by a connection of its own and runs `cat`, which has answered. */
async function openSession(client: SshClient, privateKey: Buffer): Promise<ClientChannel> {
  const connection = new ssh2.Client()
  onTestFinished(() => void connection.destroy())
  await new Promise<void>((resolve, reject) => {
    connection.once('ready', resolve).once('error', reject)
    const readyTimeout = 60_000
    connection.connect({host: '127.0.0.1', port: client.port, username: 'ada+train', privateKey, readyTimeout})
  })
  connection.on('error', () => {})
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    connection.exec('cat', (error, made) => (error ? reject(error) : resolve(made)))
  })
  channel.once('close', () => connection.end())
  await echo(channel, 'begun')
  return channel
}

/** What is sent comes back. */
async function echo(channel: ClientChannel, text: string): Promise<void> {
  const pieces: Buffer[] = []
  let length = 0
  const back = new Promise<void>((resolve, reject) => {
    channel.once('close', () => reject(new Error(`The session was closed after ${length} of ${text.length} bytes.`)))
    channel.on('data', (piece: Buffer) => {
      pieces.push(piece)
      length += piece.length
      if (length >= text.length) resolve()
    })
  })
  channel.write(text)
  await back
  channel.removeAllListeners('data').resume()
  // Not told apart letter by letter: that would take longer than all else.
  expect(Buffer.concat(pieces).toString() === text).toBe(true)
}

test(`T26: ${openSessions} sessions at once all work, and the server gives their memory back`, {
  timeout: 60_000 + openSessions * 3_000,
}, async context => {
  need(context, 'linux')
  const {fleet, client, ada} = await sshPlace(context, {server: 'process', agent: 'process'})
  const pid = fleet.server.pid as number
  const privateKey = await readFile(join(client.folder, 'id'))
  const sessions = async () => (await ada.call('sessions.list', {})).length
  const round = async (size: number) => {
    const numbers = Array.from({length: size}, (_, n) => n)
    const channels = await inParallel(numbers, 10, () => openSession(client, privateKey))
    expect(await sessions()).toBe(size)
    await Promise.all(channels.map((channel, n) => echo(channel, `${n}${'x'.repeat(30_000)}`)))
    const mebibytes = memoryMiB(pid).now
    for (const channel of channels) channel.end()
    await eventually(async () => (await sessions()) === 0, {withinMs: 60_000})
    return mebibytes
  }

  const settled = async () => {
    await fleet.server.collectGarbage?.()
    return memoryMiB(pid).now
  }

  const idle = await settled()
  // The first round brings in what is loaded, compiled and reserved once: what the second one leaves would be a leak.
  await round(openSessions)
  const before = await settled()
  const during = await round(openSessions)
  const {now: left, peak} = memoryMiB(pid)
  let after = left
  const isBack = async () => {
    after = await settled()
    return after <= before * 1.15
  }
  const [memory] = await Promise.allSettled([eventually(isBack, {withinMs: 30_000, everyMs: 1_000})])

  const rounded = [idle, before, during, peak, left, after].map(Math.round)
  console.log(`${openSessions} sessions, MiB: idle, before, open, at most, closed, collected: ${rounded.join(', ')}`)
  expect(memory.status).toBe('fulfilled')
  expect(peak).toBeLessThan(400)
})
