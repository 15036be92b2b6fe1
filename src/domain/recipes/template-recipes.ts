import type {Recipe} from '../task.ts'

export interface TemplateWork {
  nodeId: string
  node: string
  /** The file. */
  image: string
  /** Number of the virtual machine; tag of a container image. */
  id: string
  name: string
}

const minuteMs = 60_000

export const createTemplate: Recipe<TemplateWork> = {
  type: 'image.template',
  deadlineMs: 60 * minuteMs,
  object: ({image}) => image,
  locks: ({nodeId, id, image}) => [`template:${nodeId}:${id}`, `os-image:${nodeId}:${image}`],
  steps: () => [
    {
      name: 'template',
      title: ({image, id, node}) => `Making template ${id} of ${image} on ${node}`,
      async isDone({agent, input: {nodeId, id, name}, taskId}) {
        const found = await agent(nodeId).storage('templates.list', {id, name})
        return found.some(({mark, isReady}) => mark === taskId && isReady)
      },
      async do({agent, input: {nodeId, id, name, image}, taskId, signal}) {
        await agent(nodeId).storage('template.create', {id, name, image, mark: taskId}, signal)
      },
      async undo({agent, input: {nodeId, id, name}, taskId}) {
        await agent(nodeId).storage('template.delete', {id, name, mark: taskId})
      },
    },
  ],
  result: ({input: {id, name, node, image}}) => ({templateId: id, name, node, image}),
}
