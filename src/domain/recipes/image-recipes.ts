import {problem} from '../errors.ts'
import type {Recipe, StepRun} from '../task.ts'

export interface ImagePullWork {
  nodeId: string
  node: string
  /** As the container engine names it. */
  image: string
}

export const pullImage: Recipe<ImagePullWork> = {
  type: 'image.pull',
  deadlineMs: 60 * 60_000,
  object: ({image}) => image,
  locks: ({nodeId, image}) => [`image:${nodeId}:${image}`],
  steps: () => [
    {
      name: 'pull',
      title: ({image, node}) => `Pulling ${image} on ${node}`,
      // A pull of what is there ends at once, so after a crash it is simply asked for again.
      isDone: async ({notes}) => notes.isPulled === true,
      do: pull,
    },
  ],
  result: ({input: {node, image}}) => ({node, image}),
}

async function pull({agent, input: {nodeId, node, image}, notes, progress, signal}: StepRun<ImagePullWork>) {
  for await (const line of await agent(nodeId).pullImage(image, signal)) {
    if ('error' in line) throw problem('image_not_pulled', {image, name: node, reason: line.error.message})
    if ('done' in line) notes.isPulled = true
    else if (line.percent !== null) progress(line.percent)
  }
  // The stream was cut, and with it the pull.
  if (!notes.isPulled) throw problem('node_offline', {name: node})
}
