import {randomUUID} from 'node:crypto'
import {once} from 'node:events'
import {existsSync} from 'node:fs'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {type Duplex, Readable} from 'node:stream'
import {text} from 'node:stream/consumers'
import type {ContainerInspectInfo} from 'dockerode'
import {afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest'
import {PortDialler} from '../../src/runtime/docker-dial.ts'
import type {RuntimeDriver} from '../../src/runtime/driver.ts'
import {label} from '../../src/runtime/labels.ts'
import {openRegistry} from '../support/registry.ts'
import {containerSpec, startContainer} from '../support/runtimes.ts'
import {tarFile, tarOf, unpacked} from '../support/tar.ts'
import {eventually} from '../support/wait.ts'
import {type Workplace, workplaces} from '../support/workplaces.ts'

/** What is asked of every driver beyond `runtimes.test.ts`: ways to a container's files and ports. */
describe.each(Object.entries(workplaces))('runtime driver %s', (name, {missing, make}) => {
  let reason: string | undefined
  let workplace: Workplace
  beforeAll(async () => {
    reason = await missing()
    if (!reason) workplace = await make()
  })
  afterAll(() => workplace?.close?.())
  beforeEach(context => {
    if (reason) context.skip(reason)
  })

  const running = async (): Promise<{driver: RuntimeDriver; id: string}> => {
    const driver = await workplace.open(randomUUID())
    onTestFinished(() => driver.close())
    return {driver, id: await startContainer(driver, containerSpec(workplace.image))}
  }
  const read = async (driver: RuntimeDriver, id: string, path: string) => {
    const {stat, content} = await driver.readArchive(id, path, AbortSignal.timeout(10_000))
    return {stat, entries: await unpacked(content)}
  }

  test('files come back as they were written, with their modes and links', async () => {
    const {driver, id} = await running()

    await driver.writeArchive(
      id,
      '/',
      tarOf(
        tarFile('things', '', {kind: 'folder', mode: 0o750}),
        tarFile('things/run.sh', 'echo ä', {mode: 0o755}),
        tarFile('things/large', 'x'.repeat(300_000), {mode: 0o600}),
        tarFile('things/link', '', {kind: 'link', linkTarget: 'run.sh', mode: 0o777}),
      ),
    )

    const {stat, entries} = await read(driver, id, '/things')
    expect(stat).toMatchObject({name: 'things', kind: 'folder', mode: 0o750})
    expect(entries.map(({path, kind, mode}) => [path, kind, mode]).sort()).toEqual([
      ['things', 'folder', 0o750],
      ['things/large', 'file', 0o600],
      ['things/link', 'link', 0o777],
      ['things/run.sh', 'file', 0o755],
    ])
    expect(entries.find(({path}) => path === 'things/run.sh')?.text).toBe('echo ä')
    expect(entries.find(({path}) => path === 'things/link')?.linkTarget).toBe('run.sh')
    expect(await driver.statPath(id, '/things/large')).toMatchObject({
      name: 'large',
      kind: 'file',
      sizeBytes: 300_000,
      mode: 0o600,
    })
    expect((await read(driver, id, 'things/run.sh')).entries.map(({path}) => path)).toEqual(['run.sh'])
  })

  test('a snapshot keeps the files of a moment for containers of its own instance, and is removed', async () => {
    const {driver, id} = await running()
    const {snapshots} = driver
    expect(snapshots !== undefined).toBe(driver.facts.images)
    if (!snapshots) return
    const kept = {instanceId: randomUUID(), snapshotId: randomUUID()}
    onTestFinished(() => snapshots.remove(kept))
    expect(await snapshots.find(kept)).toBeUndefined()
    await driver.writeArchive(id, '/', tarOf(tarFile('then', 'x'.repeat(100_000))))

    const made = await snapshots.create(id, kept)
    await driver.writeArchive(id, '/', tarOf(tarFile('later', 'y')))

    expect(made).toMatchObject({imageId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/)})
    expect(made.sizeBytes).toBeGreaterThanOrEqual(100_000)
    expect(made.sizeBytes).toBeLessThan(1_000_000)
    expect(await snapshots.create(id, kept)).toEqual(made)
    expect(await snapshots.find(kept)).toEqual(made)
    expect(await driver.inspect(id)).toMatchObject({state: 'running'})
    const of = (instance: string) => containerSpec(made.imageId, {stays: true}, {labels: {[label.instance]: instance}})
    await expect(driver.create(of(randomUUID()))).rejects.toMatchObject({code: 'image_missing'})
    const again = await startContainer(driver, of(kept.instanceId))
    expect(await driver.statPath(again, '/then')).toMatchObject({sizeBytes: 100_000})
    await expect(driver.statPath(again, '/later')).rejects.toMatchObject({code: 'no_path'})
    await expect(snapshots.remove(kept)).rejects.toMatchObject({name: 'RuntimeError'})
    await driver.remove(again)
    await snapshots.remove(kept)
    await snapshots.remove(kept)
    expect(await snapshots.find(kept)).toBeUndefined()
  })

  test('a snapshot that is pushed can be had by its name, by anybody, also when it is gone here', async () => {
    const {driver, id} = await running()
    const {snapshots} = driver
    if (!snapshots) return
    const registry = await openRegistry((layer, response) => void response.end(layer))
    onTestFinished(() => registry.close())
    const image = await registry.publish()
    const kept = {instanceId: randomUUID(), snapshotId: randomUUID()}
    onTestFinished(() => snapshots.remove(kept))
    const {signal} = new AbortController()
    await expect(snapshots.push(kept, image, signal)).rejects.toMatchObject({code: 'image_missing'})
    await driver.writeArchive(id, '/', tarOf(tarFile('then', 'x'.repeat(100_000))))
    await snapshots.create(id, kept)

    const {digest} = await snapshots.push(kept, image, signal)
    await snapshots.remove(kept)

    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    await driver.pull(image)
    onTestFinished(() => workplace.forget?.(image))
    const other = await startContainer(driver, containerSpec(image))
    expect(await driver.statPath(other, '/then')).toMatchObject({sizeBytes: 100_000})
  })

  test('a path that is not there, and a target that is no folder, are told as such', async () => {
    const {driver, id} = await running()
    await driver.writeArchive(id, '/', tarOf(tarFile('file', 'x')))

    await expect(driver.statPath(id, '/nowhere')).rejects.toMatchObject({code: 'no_path'})
    await expect(read(driver, id, '/nowhere/at/all')).rejects.toMatchObject({code: 'no_path'})
    await expect(driver.writeArchive(id, '/nowhere', tarOf(tarFile('a', 'x')))).rejects.toMatchObject({
      code: 'no_path',
    })
    await expect(driver.writeArchive(id, '/file', tarOf(tarFile('a', 'x')))).rejects.toMatchObject({
      code: 'path_refused',
    })
    await expect(driver.statPath('0'.repeat(32), '/')).rejects.toMatchObject({code: 'no_container'})
  })

  test('an upload that breaks off or is no tar fails, and the driver goes on', async () => {
    const {driver, id} = await running()
    const broken = Readable.from(
      (async function* () {
        yield* tarOf(tarFile('half', 'x'.repeat(100_000))).take(1)
        throw new Error('The caller left.')
      })(),
      {objectMode: false},
    )

    await expect(driver.writeArchive(id, '/', broken)).rejects.toThrow()
    await expect(driver.writeArchive(id, '/', Readable.from([Buffer.alloc(4096, 'x')]))).rejects.toMatchObject({
      code: 'path_refused',
    })

    await driver.writeArchive(id, '/', tarOf(tarFile('whole', 'y')))
    expect(await driver.statPath(id, '/whole')).toMatchObject({sizeBytes: 1})
  })

  test('no path leads out of the container', async () => {
    const {driver, id} = await running()
    await driver.writeArchive(
      id,
      '/',
      tarOf(tarFile('out', '', {kind: 'link', linkTarget: '../../../../../../../..', mode: 0o777})),
    )

    // The engine reads a path as the container would: `..` ends at its root, and so does the link.
    expect(await driver.statPath(id, '/../../../..')).toMatchObject({name: '/', kind: 'folder'})
    const outside = process.execPath
    await expect(driver.statPath(id, join('/out', outside))).rejects.toThrow()
    await expect(driver.statPath(id, `/../../../../../..${outside}`)).rejects.toMatchObject({code: 'no_path'})
    const upwards = tarOf(tarFile('../../../../../../../../../../escaped', 'x'))
    await driver.writeArchive(id, '/', upwards).catch(error => expect(error).toMatchObject({code: 'path_refused'}))
    expect(existsSync('/escaped')).toBe(false)
  })

  test('a signal reaches what an exec has started, and nothing else', async () => {
    const {driver, id} = await running()
    // What says `on` is a process of its own already: a shell that is just starting one swallows the signal for it.
    const line = 'sh -c "echo on; exec sleep 1000"; true'
    const session = await driver.exec(id, {command: ['/bin/sh', '-c', line], tty: false, stdin: true})
    session.stderr.resume()
    if (name !== 'fake') await once(session.stdout, 'data')

    await session.signal('SIGINT')

    session.stdout.resume()
    expect(await session.exited).toBe(130)
    expect(await driver.inspect(id)).toMatchObject({state: 'running'})
  })

  test('a port that nobody listens on is told as such', async () => {
    const {driver, id} = await running()

    await expect(driver.dial(id, 1)).rejects.toMatchObject({code: 'port_closed'})
    await driver.stop(id, 0)
    await expect(driver.dial(id, 80)).rejects.toMatchObject({code: 'port_closed'})
  })

  test('a connection carries bytes both ways and knows half an end', async () => {
    const {driver, id} = await running()
    const port = await echoPort(name, driver, id)
    const said = `hello ${randomUUID()}\n`.repeat(2000)

    const dial = () => driver.dial(id, port)
    const socket = (await eventually(dial, {what: 'the port'})) as Duplex
    onTestFinished(() => void socket.destroy())
    socket.end(said)
    let heard = ''
    for await (const piece of socket) heard += piece

    expect(heard).toBe(said)
  })
})

/** A port in the container that gives back what it is given; the simulator's do so by themselves. */
async function echoPort(name: string, driver: RuntimeDriver, id: string): Promise<number> {
  if (name === 'fake') return 8080
  if (name === 'docker') {
    await driver.exec(id, {command: ['nc', '-ll', '-p', '8080', '-e', 'cat'], tty: false, stdin: false})
    return 8080
  }
  const server = createServer({allowHalfOpen: true}, socket => socket.pipe(socket)).listen(0)
  onTestFinished(() => void server.close())
  return (server.address() as {port: number}).port
}

describe('ports of a Docker container', () => {
  beforeEach(async context => {
    const reason = await workplaces.docker.missing()
    if (reason) context.skip(reason)
  })

  const withPage = async (listen: string) => {
    const {image, open} = await workplaces.docker.make()
    const driver = await open(randomUUID())
    onTestFinished(() => driver.close())
    const id = await startContainer(driver, containerSpec(image))
    await driver.writeArchive(id, '/', tarOf(tarFile('www', '', {kind: 'folder'}), tarFile('www/page', 'the page')))
    await driver.exec(id, {command: ['httpd', '-f', '-p', listen, '-h', '/www'], tty: false, stdin: false})
    return {driver, id}
  }
  const readPage = async (dial: () => Promise<Duplex>) => {
    const socket = await eventually(dial, {what: 'the port'})
    socket.write('GET /page HTTP/1.0\r\n\r\n')
    return (await text(socket)).split('\r\n\r\n')[1]
  }

  test("what listens on the container's own loopback only is reached, by many at once", async context => {
    if (process.getuid?.() !== 0) context.skip('needs root')
    const {driver, id} = await withPage('127.0.0.1:8080')

    expect(await readPage(() => driver.dial(id, 8080))).toBe('the page')
    const pages = await Promise.all(Array.from({length: 20}, () => readPage(() => driver.dial(id, 8080))))
    expect(new Set(pages)).toEqual(new Set(['the page']))
  })

  test('a program of the image makes the connection where the engine is elsewhere', async () => {
    const {driver, id} = await withPage('127.0.0.1:8080')
    const elsewhere = new PortDialler({engineIsHere: false})
    const info = {State: {Running: true, Pid: 4711}} as ContainerInspectInfo
    const dial = (port: number) => elsewhere.dial(info, port, spec => driver.exec(id, spec))

    expect(await readPage(() => dial(8080))).toBe('the page')
    await expect(dial(1)).rejects.toMatchObject({code: 'port_closed'})
  })
})
