import {agentRoutes, type Desired} from '../contract/agent-protocol.ts'
import type {StreamHandler} from '../link/agent-end.ts'
import {type AgentCall, type AgentHandler, CallProblem, createAgentRouter} from '../link/routes.ts'
import type {Agent} from './agent.ts'
import {sendBackup} from './backup-call.ts'
import {asProblem, endOf, write} from './call-output.ts'
import {runDial} from './dial-call.ts'
import {runExec} from './exec-call.ts'
import {sendArchive, sendStat, takeArchive} from './file-calls.ts'
import {runImagePull} from './image-pull-call.ts'
import {sendLogs} from './log-call.ts'
import {takeOsImage} from './os-image-call.ts'
import {confirmProgram, describeProgram, type Replaceable, takeProgram} from './program-calls.ts'
import {asFinding, runRepair} from './repair-call.ts'
import {snapshotCalls} from './snapshot-calls.ts'
import {runStorage} from './storage-call.ts'

/** Largest desired state that is read: some thousand instances. */
const maxDesiredBytes = 32 * 1024 * 1024

/**
 * What the agent answers on one link. Make one for each link: of the wishes that come over it an older one than the
 * last is ignored.
 */
export function createLinkHandler(agent: Agent, own?: Replaceable): StreamHandler {
  let revision = -1
  const snapshots = snapshotCalls(agent.snapshots)
  return createAgentRouter({
    [agentRoutes.ping]: call => call.respondJson(200, {pong: true}),
    [agentRoutes.metrics]: call => call.respondJson(200, agent.metrics(call.query.get('node_id') ?? 'unknown')),
    [agentRoutes.setDesired]: async call => {
      const desired = (await call.readJson(maxDesiredBytes)) as Desired
      if (desired.revision >= revision) {
        revision = desired.revision
        await agent.setDesired(desired)
      }
      call.respondJson(200, {revision})
    },
    [agentRoutes.reports]: call => sendLines(call, agent.reports(endOf(call))),
    [agentRoutes.logs]: onContainer(agent, call => sendLogs(call, agent, endOf(call))),
    [agentRoutes.stats]: onContainer(agent, call =>
      sendLines(call, agent.driver.stats(call.params.id ?? '', endOf(call))),
    ),
    [agentRoutes.exec]: onContainer(agent, call => runExec(call, agent.driver)),
    [agentRoutes.dial]: onContainer(agent, call => runDial(call, agent.driver)),
    [agentRoutes.path]: onContainer(agent, call => sendStat(call, agent.driver)),
    [agentRoutes.archive]: onContainer(agent, call => sendArchive(call, agent.driver, endOf(call))),
    [agentRoutes.osImage]: call => takeOsImage(call, agent.storage),
    [agentRoutes.backupContent]: call => sendBackup(call, agent.storage, endOf(call)),
    [agentRoutes.imagePull]: call => runImagePull(call, agent.driver, endOf(call)),
    [agentRoutes.findSnapshot]: snapshots.find,
    [agentRoutes.takeSnapshot]: snapshots.take,
    [agentRoutes.pushSnapshot]: snapshots.push,
    [agentRoutes.removeSnapshot]: snapshots.remove,
    [agentRoutes.storage]: call => runStorage(call, agent.storage, endOf(call)),
    [agentRoutes.examination]: async call => call.respondJson(200, (await agent.examine()).map(asFinding)),
    [agentRoutes.repair]: call => runRepair(call, agent),
    [agentRoutes.program]: call => describeProgram(call, own),
    [agentRoutes.sendProgram]: call => takeProgram(call, own),
    [agentRoutes.confirmProgram]: call => confirmProgram(call, own),
    [agentRoutes.unpack]: onContainer(agent, call => takeArchive(call, agent.driver)),
  })
}

/** Looks first whether the container is there, because an answer that has begun can say nothing but its end. */
function onContainer({driver}: Agent, handler: AgentHandler): AgentHandler {
  return async call => {
    try {
      const found = await driver.inspect(call.params.id ?? '')
      if (!found) throw new CallProblem(404, 'no_container', 'The container is not there any more.')
      await handler(call)
    } catch (error) {
      throw asProblem(error)
    }
  }
}

async function sendLines(call: AgentCall, values: AsyncIterable<unknown>): Promise<void> {
  const output = call.respondStream(200, 'application/x-ndjson')
  for await (const value of values) await write(output, `${JSON.stringify(value)}\n`)
  output.end()
}
