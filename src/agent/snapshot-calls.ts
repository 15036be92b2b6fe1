import type {SnapshotName} from '../contract/agent-protocol.ts'
import type {AgentCall, AgentHandler} from '../link/routes.ts'
import {asProblem, endOf} from './call-output.ts'
import type {Snapshots} from './snapshots.ts'

/** What the server asks of one snapshot. */
export function snapshotCalls(snapshots: Snapshots) {
  const answering =
    (answer: (name: SnapshotName, call: AgentCall) => Promise<unknown>): AgentHandler =>
    async call => {
      const {instance: instanceId = '', snapshot: snapshotId = ''} = call.params
      try {
        call.respondJson(200, await answer({instanceId, snapshotId}, call))
      } catch (error) {
        throw asProblem(error)
      }
    }
  return {
    find: answering(async name => (await snapshots.find(name)) ?? null),
    take: answering((name, call) => snapshots.take(name, call.query.get('container') ?? '')),
    push: answering((name, call) => snapshots.push(name, call.query.get('image') ?? '', endOf(call))),
    remove: answering(async name => {
      await snapshots.remove(name)
      return {}
    }),
  }
}
