import {onTestFinished} from 'vitest'
import {sendBackup} from '../../src/agent/backup-call.ts'
import {takeOsImage} from '../../src/agent/os-image-call.ts'
import {runStorage} from '../../src/agent/storage-call.ts'
import {agentRoutes} from '../../src/contract/agent-protocol.ts'
import {LinkKeeper} from '../../src/link/link-keeper.ts'
import {createAgentRouter} from '../../src/link/routes.ts'
import type {StorageHost} from '../../src/storage/host.ts'
import type {ControlPlane} from './control-plane.ts'
import {eventually} from './wait.ts'

/** An admitted machine over a real link whose agent works on that storage, until the running test ends. */
export async function linkedStorage(
  plane: ControlPlane,
  name: string,
  storage: StorageHost,
): Promise<{nodeId: string}> {
  const {nodeId, nodeKey} = await plane.node(name)
  const keeper = new LinkKeeper({
    url: `${plane.url}/gpuctl/v1/link`,
    token: nodeKey,
    handler: createAgentRouter({
      [agentRoutes.reports]: call => void call.respondStream(200, 'application/x-ndjson'),
      [agentRoutes.setDesired]: async call => call.respondJson(200, await call.readJson()),
      [agentRoutes.storage]: call => {
        const cut = new AbortController()
        call.onClose(() => cut.abort())
        return runStorage(call, storage, cut.signal)
      },
      [agentRoutes.backupContent]: call => {
        const cut = new AbortController()
        call.onClose(() => cut.abort())
        return sendBackup(call, storage, cut.signal)
      },
      [agentRoutes.osImage]: call => takeOsImage(call, storage),
    }),
    onState: () => {},
  })
  onTestFinished(() => keeper.stop())
  keeper.start()
  const token = plane.adminToken
  const isLinked = async () => (await plane.ask('pools.list', {node: name}, {token})).status === 200
  const answers = async () => (await plane.ask('osImages.list', {node: name}, {token})).status === 200
  await eventually(async () => (await isLinked()) && (await answers()), {withinMs: 10_000, what: `the link of ${name}`})
  return {nodeId}
}
