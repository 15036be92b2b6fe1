import {randomBytes} from 'node:crypto'
import {createWriteStream} from 'node:fs'
import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import {createGzip} from 'node:zlib'
import {expect, onTestFinished, type TestContext, test} from 'vitest'
import {DockerDriver} from '../../src/runtime/docker.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {controlPlane} from '../support/control-plane.ts'
import {dockerMissing, sharedDocker} from '../support/docker.ts'
import {operator} from '../support/gpuctl.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {linkedStorage} from '../support/linked-storage.ts'
import {containerSpec, readOutput, startContainer, untilExited} from '../support/runtimes.ts'
import {unmet} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

/** A machine without Proxmox and with a real engine, and the packed root folder of a system there. */
async function workplace(context: TestContext) {
  const missing = unmet('busybox') ?? (await dockerMissing())
  if (missing) context.skip(missing)
  const {socketPath} = await sharedDocker()
  await ensureBusyboxImage({socketPath})
  const driver = new DockerDriver({socketPath, serverId: 'templates'})
  onTestFinished(() => driver.close())
  const directory = await temporaryDirectory()
  const env = {PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'}
  const storage = openStorage({directory, env, templateImages: driver.templates})
  const docker = dockerClient({socketPath})
  const name = `t${randomBytes(4).toString('hex')}`
  onTestFinished(async () => {
    const left = await docker.listImages({filters: {reference: [name]}})
    for (const {Id} of left) await docker.getImage(Id).remove({force: true})
  })
  const folder = join(directory, 'os-images')
  await mkdir(folder)
  return {driver, docker, storage, name, folder, directory}
}

async function packRoot(docker: ReturnType<typeof dockerClient>, path: string): Promise<string> {
  const container = await docker.createContainer({Image: busyboxImage})
  try {
    await pipeline(await container.export(), createGzip(), createWriteStream(path))
  } finally {
    await container.remove()
  }
  return path
}

test('W2.3-1 R7: an uploaded root folder becomes an image, and an instance runs of it', async context => {
  const {driver, docker, storage, name, directory} = await workplace(context)
  const plane = await controlPlane()
  await linkedStorage(plane, 'plain-01', storage)
  const {run: gpuctl} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const path = await packRoot(docker, join(directory, 'root.tar.gz'))

  expect(await gpuctl(['image', 'upload', path, '--node', 'plain-01'])).toMatchObject({code: 0})
  const made = await gpuctl(['image', 'template', 'root.tar.gz', '--id', '9000', '--name', name, '--wait'])
  expect(made).toMatchObject({code: 0, stdout: expect.stringContaining(`Template ${name} (9000) is ready`)})

  const containerId = await startContainer(driver, containerSpec(`${name}:9000`, {}, {command: ['echo', 'it lives']}))
  await untilExited(driver, containerId)
  expect((await readOutput(driver, containerId)).stdout).toBe('it lives\n')
  const again = await gpuctl(['image', 'template', 'root.tar.gz', '--id', '9000', '--name', name, '--wait'])
  expect(again.code).not.toBe(0)
}, 90_000)

test('W2.3-1: a repeat finds its own image; another’s is refused and not taken away; what is no root folder makes none', async context => {
  const {docker, storage, name, folder} = await workplace(context)
  await packRoot(docker, join(folder, 'root.tar.gz'))
  await writeFile(join(folder, 'disk.img'), randomBytes(4096))
  const template = {id: '9000', name, image: 'root.tar.gz', mark: 'task-1'}

  const made = await storage.call('template.create', template)
  expect(made).toEqual({id: '9000', name, mark: 'task-1', isReady: true})
  expect(await storage.call('template.create', template)).toEqual(made)
  const others = {...template, mark: 'task-2'}
  await expect(storage.call('template.create', others)).rejects.toMatchObject({code: 'exists'})
  await storage.call('template.delete', others)
  expect(await storage.call('templates.list', template)).toEqual([made])

  const wrong = {...template, id: '9001', image: 'disk.img'}
  await expect(storage.call('template.create', wrong)).rejects.toMatchObject({code: 'failed'})
  expect(await storage.call('templates.list', wrong)).toEqual([])
  await storage.call('template.delete', template)
  expect(await storage.call('templates.list', template)).toEqual([])
}, 60_000)
