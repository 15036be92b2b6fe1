import {Type} from 'typebox'
import {route} from '../../dialect.ts'
import {answerWithStream} from '../../event-stream.ts'
import {encodeEvent} from '../../stream.ts'
import {ByTask, ListTasks, taskToWire, WireTask} from './wire.ts'

/** wire.md 2.2: the document asks for polling and names no place for it. */
export const taskRoutes = [
  route({
    method: 'GET',
    path: '/api/agent/tasks',
    access: 'viewer',
    summary: 'Your tasks, the newest first; administrators see all.',
    query: ListTasks,
    output: Type.Array(WireTask),
    handle: async ({query, asker, services}) => (await services.tasks.list(query, asker)).map(task => taskToWire(task)),
  }),
  route({
    method: 'GET',
    path: '/api/agent/tasks/:taskId',
    access: 'viewer',
    summary: 'One task with its log.',
    params: ByTask,
    output: WireTask,
    handle: async ({params: {taskId: id}, asker, services}) =>
      taskToWire(await services.tasks.get({id}, asker), await services.tasks.logs({id}, asker)),
  }),
  route({
    method: 'GET',
    path: '/api/agent/tasks/:taskId/events',
    access: 'viewer',
    transport: 'events',
    summary: 'One task as it goes on: each event is its newest state; the stream ends with the task.',
    params: ByTask,
    output: WireTask,
    handle: ({params: {taskId: id}, asker, services, sources: {settings, open, boot}, request, reply}) =>
      answerWithStream({
        ...{request, reply, settings, open},
        prepare: async signal => {
          const states = await services.tasks.follow({id}, asker, signal)
          return async writer => {
            let sequence = 0
            for await (const task of states) {
              if (signal.aborted) return
              await writer.sendSlowly(encodeEvent({id: `${boot}-${++sequence}`, data: taskToWire(task)}))
            }
          }
        },
      }),
  }),
]
