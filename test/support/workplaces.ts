import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {systemClock} from '../../src/platform/clock.ts'
import type {RuntimeDriver} from '../../src/runtime/driver.ts'
import {FakeDriver} from '../../src/runtime/fake.ts'
import {FakeHost} from '../../src/runtime/fake-host.ts'
import {type RuntimeDriverName, runtimeDrivers} from '../../src/runtime/registry.ts'
import {dockerMissing, sharedDocker} from './docker.ts'
import {dockerClient, ensureBusyboxImage} from './images.ts'
import {buildSupervisor} from './runtimes.ts'
import {unmet} from './skips.ts'

/** A place where a driver can work, and where a second driver object finds what the first one left. */
export interface Workplace {
  image: string
  missingImage: {name: string; code: string}
  open(serverId: string): Promise<RuntimeDriver>
  /** Takes away an image that was pulled. */
  forget?(image: string): Promise<void>
  close?(): Promise<void>
}

export const workplaces: Record<
  RuntimeDriverName,
  {missing: () => Promise<string | undefined>; make: () => Promise<Workplace>}
> = {
  docker: {
    missing: async () => unmet('busybox') ?? dockerMissing(),
    async make() {
      const docker = await sharedDocker()
      const image = await ensureBusyboxImage(docker)
      const open = (serverId: string) =>
        runtimeDrivers.docker({serverId, docker, clock: systemClock, stateDirectory: ''})
      const forget = (name: string) => dockerClient(docker).getImage(name).remove()
      return {image, missingImage: {name: 'localhost:1/missing:1', code: 'image_missing'}, open, forget}
    },
  },
  process: {
    missing: async () => unmet('linux'),
    async make() {
      const folder = await mkdtemp(join(tmpdir(), 'gpuctl-process-'))
      const supervisorPath = await buildSupervisor(folder)
      const stateDirectory = join(folder, 'instances')
      const open = (serverId: string) =>
        runtimeDrivers.process({serverId, clock: systemClock, stateDirectory, supervisorPath})
      const close = () => rm(folder, {recursive: true, force: true, maxRetries: 3})
      return {image: 'host', missingImage: {name: 'busybox:1', code: 'invalid'}, open, close}
    },
  },
  fake: {
    missing: async () => undefined,
    async make() {
      const host = new FakeHost({clock: systemClock})
      const open = async (serverId: string) => new FakeDriver({serverId, clock: systemClock, host})
      return {image: 'any:1', missingImage: {name: 'missing:1', code: 'image_missing'}, open}
    },
  },
}
