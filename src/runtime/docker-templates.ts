import {createReadStream} from 'node:fs'
import type {DockerEngine} from './docker-engine.ts'
import {RuntimeError, type TemplateImage} from './driver.ts'

/** Whose work an image is, so that a repeat knows its own. */
const markLabel = 'gpuctl.task'

/** Makes an image of the packed root folder of a system: `docker import`. */
export async function importTemplate(
  engine: DockerEngine,
  file: string,
  {repository, tag, mark}: TemplateImage & {mark: string},
  signal?: AbortSignal,
): Promise<void> {
  const content = createReadStream(file)
  const stop = () => content.destroy(new RuntimeError('failed', 'The import was broken off.'))
  signal?.addEventListener('abort', stop, {once: true})
  if (signal?.aborted) stop()
  try {
    const changes = [`LABEL ${markLabel}=${mark}`, 'CMD ["/bin/sh"]']
    const query = {fromSrc: '-', repo: repository, tag, changes}
    await engine.upload(`Importing ${repository}:${tag}`, {method: 'POST', path: '/images/create', query}, content)
  } finally {
    signal?.removeEventListener('abort', stop)
    content.destroy()
  }
  // The engine says what it refuses in the course of an answer that began well.
  if (await findTemplate(engine, {repository, tag})) return
  throw new RuntimeError(
    'invalid',
    'The engine made no image of it: a template here needs the packed root folder (tar).',
  )
}

export async function findTemplate(engine: DockerEngine, image: TemplateImage): Promise<{mark: string} | undefined> {
  try {
    const name = `${image.repository}:${image.tag}`
    const found = await engine.call(`Looking for image ${name}`, docker => docker.getImage(name).inspect())
    return {mark: found.Config?.Labels?.[markLabel] ?? ''}
  } catch (error) {
    if (error instanceof RuntimeError && (error.code === 'image_missing' || error.code === 'no_container')) return
    throw error
  }
}

export async function removeTemplate(engine: DockerEngine, image: TemplateImage): Promise<void> {
  if (!(await findTemplate(engine, image))) return
  const name = `${image.repository}:${image.tag}`
  await engine.call(`Removing image ${name}`, docker => docker.getImage(name).remove())
}
