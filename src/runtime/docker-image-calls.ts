import type {ImageInspectInfo} from 'dockerode'
import type {DockerEngine} from './docker-engine.ts'
import {RuntimeError} from './driver.ts'

export async function inspectImage(engine: DockerEngine, image: string): Promise<ImageInspectInfo | undefined> {
  try {
    return await engine.call(`Looking for image ${image}`, docker => docker.getImage(image).inspect())
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** Absent is no error. `force`: also the last name of one that a container is made of. */
export async function removeImage(engine: DockerEngine, image: string, {force = false} = {}): Promise<void> {
  try {
    await engine.call(`Removing image ${image}`, docker => docker.getImage(image).remove({force}), 60_000)
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}

type Modem = {dial: (request: never, done: (error: Error | null) => void) => void}

/** Not by the client's own call, which heeds no signal. `query`: as the engine's API has it. */
export function commitContainer(engine: DockerEngine, doing: string, query: object, withinMs: number): Promise<void> {
  return engine.call(
    doing,
    ({modem}, abortSignal) =>
      new Promise((resolve, reject) => {
        const statusCodes = {201: true, 400: 'bad request', 404: 'not found', 409: 'conflict', 500: 'server error'}
        const request = {path: '/commit?', method: 'POST', options: query, abortSignal, statusCodes}
        ;(modem as Modem).dial(request as never, error => (error ? reject(error) : resolve()))
      }),
    withinMs,
  )
}

export function isAbsent(error: unknown): boolean {
  return error instanceof RuntimeError && (error.code === 'image_missing' || error.code === 'no_container')
}
