import {readdirSync, realpathSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {type OpenRegistry, openRegistry} from '../../support/registry.ts'
import {eventually} from '../../support/wait.ts'
import {runs} from '../../support/zfs-daemon.ts'
import type {TaskTrial} from './trial.ts'

/** So long a layer is on its way, in so many pieces. */
const [layerMs, layerPieces] = [1_000, 20]
/** An engine leaves the registry when it sees that who asked has left. */
const leftWithinMs = 10_000
const container = 'gpuctl-soak-whole'

/** Images of a slow registry that come to a Docker Engine. Of a lab with an engine. */
export function imageTrial(): TaskTrial {
  let socketPath = ''
  let registry: OpenRegistry | undefined
  return {
    name: 'images',
    needsEngine: true,
    async prepare({folder = ''}) {
      socketPath = realpathSync(join(folder, 'docker.sock'))
      registry = await openRegistry((layer, response) => {
        const size = Math.ceil(layer.length / layerPieces)
        let sent = 0
        const timer = setInterval(() => {
          response.write(layer.subarray(sent, sent + size))
          sent += size
          if (sent >= layer.length) response.end()
        }, layerMs / layerPieces)
        response.once('finish', () => clearInterval(timer)).once('close', () => clearInterval(timer))
      })
    },
    async round(lab) {
      const image = (await registry?.publish()) ?? ''
      const {status, error} = await lab.disturbed('POST', '/images/pull', {image, nodes: [lab.node]})
      const after = `${image} after image.pull ${status} ${error?.message ?? ''}`
      await eventually(() => registry?.fetches() === 0, {withinMs: leftWithinMs}).catch(() =>
        lab.check(false, `${after}: nobody fetches it any more`),
      )
      // Of what was cancelled when it was all there the engine makes an image all the same.
      const isWhole = isThere(image) && docker('create', '--name', container, image) && docker('rm', container)
      lab.check(isWhole || (status === 'failed' && !isThere(image)), `${after}: the engine has it: ${isThere(image)}`)
      const left = readdirSync(join(dirname(socketPath), 'data', 'tmp'))
      lab.check(left.length === 0, `${after}: the engine keeps ${left}`)
      if (status !== 'completed') await lab.done('POST', '/images/pull', {image, nodes: [lab.node]})
      docker('image', 'rm', '-f', image)
    },
    tidy() {
      void registry?.close()
    },
  }

  function isThere(image: string): boolean {
    return docker('image', 'inspect', image)
  }

  function docker(...args: string[]): boolean {
    return runs('docker', '-H', `unix://${socketPath}`, ...args)
  }
}
