import {execFileSync} from 'node:child_process'
import {join} from 'node:path'
import {busyboxImage, ensureBusyboxImage} from '../../support/images.ts'
import {eventually} from '../../support/wait.ts'
import type {EndedTask, TaskLab, TaskTrial} from './trial.ts'

/** Enough that the engine is at it for a while. */
const megabytes = 64
/** For the engine to make a container; and for a node to remove an image of what failed. */
const withinMs = 30_000
const name = 'kept'

/** Snapshots of a container, made and removed. Of a lab with an engine. */
export function instanceTrial(): TaskTrial {
  let socketPath = ''
  let id = ''
  let containerId = ''
  return {
    name: 'instances',
    needsEngine: true,
    async prepare(lab) {
      socketPath = join(lab.folder ?? '', 'docker.sock')
      await ensureBusyboxImage({socketPath})
      const script = `dd if=/dev/urandom of=/page bs=1M count=${megabytes}; touch /ready; exec sleep 100000`
      const wanted = {image: busyboxImage, command: ['sh', '-c', script], gpus: {count: 1}}
      const claim = await lab.ok<{id: string}>('POST', '/claims', wanted)
      const {instanceId} = await eventually(
        async () => {
          const found = await lab.ok<{instanceId: string; status: {phase: string}}>('GET', `/claims/${claim.id}`)
          return found.status.phase === 'Running' && found
        },
        {withinMs},
      )
      id = instanceId
      containerId = (await lab.ok<{containerId: string}>('GET', `/instances/${id}`)).containerId
      await eventually(() => docker('exec', containerId, 'ls', '/ready'), {withinMs, everyMs: 200})
    },
    async round(lab) {
      const made = await lab.disturbed('POST', `/instances/${id}/snapshots`, {name})
      await look(lab, made)
      if (made.status !== 'completed') return
      await lab.ok('DELETE', `/instances/${id}/snapshots/${name}`)
      await eventually(() => images().length === 0, {withinMs}).catch(() =>
        lab.check(false, `a snapshot that was removed is gone, not ${images()}`),
      )
    },
  }

  /** What the server lists and the engine keeps; the container runs as it did. */
  async function look(lab: TaskLab, {status, error}: EndedTask): Promise<void> {
    const after = `after instance.snapshot ${status} ${error?.message ?? ''}`
    const wanted = status === 'completed' ? 1 : 0
    const known = await lab.ok<{name: string; state: string; imageId: string}[]>('GET', `/instances/${id}/snapshots`)
    const states = known.map(snapshot => `${snapshot.name} ${snapshot.state}`)
    lab.check(states.join() === (wanted ? `${name} ready` : ''), `${after} the server lists ${states}`)
    // What is left of one that failed is removed beside the work.
    await eventually(() => images().length === wanted, {withinMs}).catch(() =>
      lab.check(false, `${after} the engine keeps ${images()}`),
    )
    if (wanted)
      lab.check(images()[0] === known[0]?.imageId, `${after} the image is ${images()}, not ${known[0]?.imageId}`)
    const state = docker('inspect', '-f', '{{.State.Status}}', containerId)
    lab.check(state === 'running', `${after} the container is ${state}`)
    const instance = await lab.ok<{status: string; containerId: string}>('GET', `/instances/${id}`)
    const isSame = instance.status === 'running' && instance.containerId === containerId
    lab.check(isSame, `${after} the instance is ${JSON.stringify(instance)}`)
  }

  /** Also those without a name. */
  function images(): string[] {
    const text = docker('image', 'ls', '-aq', '--no-trunc', '--filter', `label=gpuctl.instance=${id}`)
    return text.split('\n').filter(Boolean)
  }

  function docker(...args: string[]): string {
    return execFileSync('docker', ['-H', `unix://${socketPath}`, ...args], {encoding: 'utf8', stdio: 'pipe'}).trim()
  }
}
