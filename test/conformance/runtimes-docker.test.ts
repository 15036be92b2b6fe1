import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {connect as connectTo, createServer, type Socket} from 'node:net'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest'
import {DockerDriver} from '../../src/runtime/docker.ts'
import type {DockerAddress} from '../../src/runtime/docker-engine.ts'
import type {ContainerGpu} from '../../src/runtime/driver.ts'
import {label} from '../../src/runtime/labels.ts'
import {busyboxEngine} from '../support/busybox-engine.ts'
import {makeCertificates} from '../support/certs.ts'
import {dockerdMissing, fakeGpuHookPath, testDockerd} from '../support/docker.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {openRegistry} from '../support/registry.ts'
import {containerSpec, readOutput, startContainer, untilExited} from '../support/runtimes.ts'
import {unmet} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

const exec = promisify(execFile)
const serverId = 'docker-suite'

function openDriver(address: DockerAddress): DockerDriver {
  const driver = new DockerDriver({...address, serverId})
  onTestFinished(() => driver.close())
  return driver
}

describe('docker on an engine that answers', () => {
  const shared = busyboxEngine()

  test('an image of a registry that asks who comes is pulled with what `docker login` kept, by itself or with a helper', async () => {
    const registry = await openRegistry((layer, response) => void response.end(layer), 'me:secret:word')
    onTestFinished(() => registry.close())
    const logins = await temporaryDirectory()
    const image = await registry.publish()
    const pulled: string[] = []
    const host = image.split('/')[0] as string
    const driver = new DockerDriver({...shared, serverId, logins})
    onTestFinished(async () => {
      driver.close()
      await exec('docker', ['-H', `unix://${shared.socketPath}`, 'rmi', ...pulled])
    })
    const keep = (config: object) => writeFile(join(logins, 'config.json'), JSON.stringify(config))
    const auth = (login: string) => ({auth: Buffer.from(login).toString('base64')})

    const words = (kept: RegExp) => ({code: 'image_missing', message: expect.stringMatching(kept)})
    await expect(driver.pull(image)).rejects.toMatchObject(words(/The node has no login for it: run `docker login 127/))
    await keep({auths: {[host]: auth('me:wrong')}})
    await expect(driver.pull(image)).rejects.toMatchObject(words(/was refused: run `docker login 127/))
    await keep({auths: {[`http://${host}/v2/`]: auth('me:secret:word')}})
    await driver.pull(image)
    pulled.push(image)

    const again = await registry.publish()
    const helper = join(logins, 'docker-credential-gpuctl-test')
    const answer = JSON.stringify({ServerURL: host, Username: 'me', Secret: 'secret:word'})
    await writeFile(helper, `#!/bin/sh\n[ "$1 $(cat)" = "get ${host}" ] && echo '${answer}'\n`, {mode: 0o755})
    vi.stubEnv('PATH', `${logins}:${process.env.PATH}`)
    onTestFinished(() => void vi.unstubAllEnvs())
    await keep({auths: {[host]: {}}, credHelpers: {[host]: 'gpuctl-test'}})
    await driver.pull(again)
    pulled.push(again)
  })

  test('a snapshot that the engine is at is waited for, made once, and removed with nothing left, and no other instance finds the image by its id', async () => {
    const driver = openDriver(shared)
    const docker = dockerClient(shared)
    const [mine, other] = ['mine', 'other'].map(name => `${name}-${process.pid}`) as [string, string]
    const of = (instance: string) => ({labels: {[label.instance]: instance}})
    const containerId = await startContainer(driver, containerSpec(busyboxImage, {stays: true}, of(mine)))
    await exec('docker', [
      '-H',
      `unix://${shared.socketPath}`,
      'exec',
      containerId,
      'dd',
      'if=/dev/urandom',
      'of=/page',
      'bs=1M',
      'count=32',
    ])
    const name = {instanceId: mine, snapshotId: `cut-${process.pid}`}
    const isPaused = async () => (await docker.getContainer(containerId).inspect()).State.Paused
    const images = () => docker.listImages({all: true, filters: {label: [`${label.snapshot}=${name.snapshotId}`]}})
    // The engine is at it, for whom no matter.
    const underWay = async () => {
      const making = driver.snapshots.create(containerId, name)
      making.catch(() => {}) // what it made may be gone before it looks
      await Promise.race([eventually(isPaused), making])
    }

    await underWay()
    const {imageId} = await driver.snapshots.create(containerId, name)
    expect((await images()).map(({Id}) => Id)).toEqual([imageId])
    for (const image of [imageId, imageId.slice(7, 27), `gpuctl.invalid/snapshot:${name.snapshotId}`]) {
      const stolen = driver.create(containerSpec(image, {stays: true}, of(other)))
      await expect(stolen).rejects.toMatchObject({code: 'image_missing'})
    }
    await driver.snapshots.remove(name)
    await underWay()
    await driver.snapshots.remove(name)
    expect(await images()).toEqual([])
  })

  test('T19 a tenant has few capabilities, no new privileges, seccomp and limits', async () => {
    const driver = openDriver(shared)
    const script = 'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/1/status; ulimit -n; echo up'
    const more = {
      command: ['/bin/sh', '-c', script],
      memoryMiB: 64,
      cpus: 0.5,
      env: {GPUCTL_CLAIM: 'forged', NVIDIA_VISIBLE_DEVICES: 'all'},
    }
    const spec = containerSpec(busyboxImage, {}, more)
    const containerId = await startContainer(driver, spec)
    await untilExited(driver, containerId)

    const {stdout} = await readOutput(driver, containerId)
    const {HostConfig, Config} = await dockerClient(shared).getContainer(containerId).inspect()

    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
    expect(stdout).toMatch(/CapEff:\s+00000000000004eb\n/)
    expect(stdout).toMatch(/NoNewPrivs:\s+1\nSeccomp:\s+2\n/)
    expect(HostConfig).toMatchObject({
      Privileged: false,
      PidsLimit: 4096,
      Memory: 64 * 1024 * 1024,
      MemorySwap: 64 * 1024 * 1024,
      NanoCpus: 5e8,
      Init: true,
      NetworkMode: 'default',
      PidMode: '',
      IpcMode: 'private',
      RestartPolicy: {Name: 'no'},
      LogConfig: {Type: 'json-file', Config: {'max-size': '10m', 'max-file': '3'}},
    })
    expect(HostConfig.Binds ?? []).toEqual([])
    expect(Config.Env).toContain('NVIDIA_VISIBLE_DEVICES=void')
    expect(Config.Env).not.toContain('GPUCTL_CLAIM=forged')
  })

  test('T19 a process that takes more than its memory is killed, and that is seen', async () => {
    const driver = openDriver(shared)
    const spec = containerSpec(busyboxImage, {}, {command: ['tail', '/dev/zero'], memoryMiB: 16})
    const containerId = await startContainer(driver, spec)

    expect(await untilExited(driver, containerId)).toMatchObject({exitCode: 137, oomKilled: true})
  })

  test('W3.3-8: without a command the image runs its own, with a terminal that keeps a shell up', async () => {
    const driver = openDriver(shared)
    const containerId = await startContainer(driver, containerSpec(busyboxImage, {}, {command: undefined}))

    const {Config} = await dockerClient(shared).getContainer(containerId).inspect()

    expect(Config).toMatchObject({Tty: true, OpenStdin: true})
    expect(await driver.inspect(containerId)).toMatchObject({state: 'running'})
  })

  test('a terminal has a size that can change, and ends at end of input with its code', async () => {
    const driver = openDriver(shared)
    const containerId = await startContainer(driver, containerSpec(busyboxImage))
    const spec = {command: ['/bin/sh'], tty: true, stdin: true, size: {rows: 31, columns: 99}}

    const session = await driver.exec(containerId, spec)
    let seen = ''
    session.stdout.on('data', piece => {
      seen += piece
    })
    session.stdin.write('stty size\n')
    await eventually(() => seen.includes('31 99'))
    await session.resize(0, 0)
    await session.resize(44, 122)
    session.stdin.write('stty size; (exit 9)\n')
    await eventually(() => /44 122.*# /s.test(seen)) // until it reads again: what is typed before that may be thrown away
    session.stdin.end()

    expect(await session.exited).toBe(9)
  })

  test('P11 the log file, the engine and the command line of Docker give the same bytes', async () => {
    const here = openDriver(shared)
    const overApi = openDriver({host: '127.0.0.1', port: await forward(shared.socketPath)})
    const long = `head -c 50000 /dev/zero | tr '\\0' x; echo`
    const script = `i=0; while [ $i -lt 3000 ]; do echo "line $i ü \\"q\\" \\\\"; [ $((i % 7)) = 0 ] && echo "oops $i" >&2; i=$((i+1)); done; ${long}; printf 'no end'`
    const containerId = await startContainer(
      here,
      containerSpec(busyboxImage, {}, {command: ['/bin/sh', '-c', script]}),
    )
    await untilExited(here, containerId)
    const ofDocker = async (...flags: string[]) =>
      (await exec('docker', ['-H', `unix://${shared.socketPath}`, 'logs', ...flags, containerId], {maxBuffer: 1e9}))
        .stdout

    for (const driver of [here, overApi]) {
      const {stdout, stderr} = await readOutput(driver, containerId)
      expect(stdout === (await ofDocker())).toBe(true)
      expect(stderr.split('\n').length).toBe(430)
    }
    const file = await readOutput(here, containerId, {timestamps: true})
    expect(file).toEqual(await readOutput(overApi, containerId, {timestamps: true}))
    const shortLines = (text: string) =>
      text
        .split('\n')
        .filter(line => line.includes('line'))
        .join('\n')
    expect(shortLines(file.stdout)).toBe(shortLines(await ofDocker('--timestamps')))
    const sinceNs = BigInt(Date.parse(`${file.stderr.slice(0, 19)}Z`)) * 1_000_000n + BigInt(file.stderr.slice(20, 29))
    expect(await readOutput(here, containerId, {sinceNs})).toEqual(await readOutput(overApi, containerId, {sinceNs}))
  })

  test('M7 F5 creates whose answer is lost leave one container, which the next create adopts', async () => {
    const driver = openDriver(shared)
    const spec = containerSpec(busyboxImage)
    let fired = 0
    const cutting = openDriver({
      host: '127.0.0.1',
      port: await forward(shared.socketPath, {cutAnswerTo: 'POST /containers/create', onCut: () => fired++}),
    })

    const lost = await Promise.allSettled(Array.from({length: 10}, () => cutting.create(spec)))
    const {containerId} = await driver.create(spec)
    onTestFinished(() => driver.remove(containerId))

    expect(fired).toBeGreaterThan(0)
    expect(lost.map(one => one.status)).toContain('rejected')
    expect((await driver.list()).filter(one => one.name === spec.name).map(one => one.containerId)).toEqual([
      containerId,
    ])
  })

  test('a GPU that cannot be had fails the start, and leaves no container', async () => {
    const driver = openDriver(shared)
    const spec = containerSpec(busyboxImage, {stays: true}, {gpus: [nvidia(0)]})
    const {containerId} = await driver.create(spec)
    onTestFinished(() => driver.remove(containerId))

    await expect(driver.start(containerId)).rejects.toMatchObject({code: 'gpu_unavailable'})
    expect(await driver.inspect(containerId)).toBeUndefined()
  })

  test('T21 an engine elsewhere without TLS is refused', () => {
    expect(() => openDriver({host: '192.0.2.1', port: 2375})).toThrow(/without TLS/)
    expect(() => openDriver({host: '192.0.2.1', port: 2376, ca: 'x'})).toThrow(/all three/)
  })
})

describe('docker on an engine of its own', () => {
  beforeEach(async context => {
    const reason = unmet('busybox', 'openssl') ?? (await dockerdMissing())
    if (reason) context.skip(reason)
  })

  test('W3.3-6: a container gets the GPUs it was given by uuid, and no other', async () => {
    const engine = await testDockerd({name: 'gpus', extraPath: fakeGpuHookPath})
    await ensureBusyboxImage(engine)
    const driver = openDriver({socketPath: engine.socketPath})
    const command = ['/bin/sh', '-c', 'ls /dev | grep nvidia; echo $NVIDIA_VISIBLE_DEVICES; echo $GPUCTL_GPUS']
    const containerId = await startContainer(
      driver,
      containerSpec(busyboxImage, {}, {command, gpus: [nvidia(1), nvidia(3)]}),
    )
    await untilExited(driver, containerId)

    expect((await readOutput(driver, containerId)).stdout).toBe('nvidia1\nnvidia3\nGPU-fake-1,GPU-fake-3\n1,3\n')

    const unknown = containerSpec(busyboxImage, {}, {gpus: [{...nvidia(0), uuid: 'GPU-gone'}]})
    const {containerId: failing} = await driver.create(unknown)
    await expect(driver.start(failing)).rejects.toMatchObject({
      code: 'gpu_unavailable',
      message: expect.stringContaining('unknown device'),
    })
    expect(await driver.inspect(failing)).toBeUndefined()
  })

  test('F4 a hung engine times out; F3 a killed one is unreachable, ends the watch, and comes back with its containers; one that it left standing still goes on at the next snapshot', async () => {
    const engine = await testDockerd({name: 'faults', liveRestore: true})
    await ensureBusyboxImage(engine)
    const driver = openDriver({socketPath: engine.socketPath})
    const containerId = await startContainer(driver, containerSpec(busyboxImage))
    const watching = (async () => {
      for await (const _ of driver.watch(new AbortController().signal));
    })()
    const watchEnd = watching.then(
      () => undefined,
      error => error,
    )

    engine.pause()
    const startMs = performance.now()
    await expect(driver.ping()).rejects.toMatchObject({code: 'timeout'})
    expect(performance.now() - startMs).toBeLessThan(4_000)
    engine.resume()
    await engine.kill9()

    await expect(driver.ping()).rejects.toMatchObject({name: 'RuntimeError', code: 'unreachable'})
    await expect(driver.list()).rejects.toMatchObject({code: 'unreachable'})
    expect(await watchEnd).toMatchObject({name: 'RuntimeError', code: 'unreachable'})
    await engine.restart()
    expect(await driver.inspect(containerId)).toMatchObject({state: 'running'})

    const container = dockerClient(engine).getContainer(containerId)
    await container.pause()
    await engine.kill9()
    await engine.restart()
    expect((await container.inspect()).State.Paused).toBe(true)
    await driver.snapshots.create(containerId, {instanceId: 'left', snapshotId: 'left'})
    expect((await container.inspect()).State.Paused).toBe(false)
  })

  test('T21 W3.3-9 mutual TLS works with the right certificate, and says whose is wrong', async () => {
    const [right, other] = [
      await makeCertificates(await temporaryDirectory()),
      await makeCertificates(join(await temporaryDirectory(), 'b')),
    ]
    const {host = '', port = 0} = await testDockerd({name: 'tls', tls: right})
    const at = (ca: string, {cert, key}: {cert: string; key: string}) => openDriver({host, port, ca, cert, key})

    await at(right.ca, right.client).ping()

    const wrongClient = at(right.ca, other.client).ping()
    await expect(wrongClient).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('refuses our client certificate'),
    })
    const wrongCa = at(other.ca, right.client).ping()
    await expect(wrongCa).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('not signed by the given CA'),
    })
    const none = openDriver({host, port}).ping()
    await expect(none).rejects.toMatchObject({code: 'unreachable', message: expect.stringContaining('wants TLS')})
  })
})

function nvidia(index: number): ContainerGpu {
  return {index, uuid: `GPU-fake-${index}`, vendor: 'nvidia', devicePaths: []}
}

/** A TCP door to the engine's socket. With `cutAnswerTo` it hangs up as soon as such a request has gone through. */
async function forward(
  socketPath: string,
  {cutAnswerTo, onCut}: {cutAnswerTo?: string; onCut?: () => void} = {},
): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const engine = connectTo(socketPath)
    for (const socket of [client, engine]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    let isCut = false
    client.on('data', piece => {
      engine.write(piece)
      isCut ||= cutAnswerTo !== undefined && piece.toString('latin1').startsWith(cutAnswerTo)
    })
    engine.on('data', piece => {
      if (!isCut) return client.write(piece)
      onCut?.()
      return client.destroy()
    })
    client.on('end', () => engine.end())
    engine.on('end', () => client.end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
