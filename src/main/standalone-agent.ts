import {join} from 'node:path'
import {loadIdentity} from '../agent/identity.ts'
import {sha256Hex} from '../platform/ids.ts'
import {startWithLocalApi} from './local-api.ts'
import {type AgentOptions, openAgent, openMachine} from './machine.ts'
import {CannotStart} from './settings.ts'

/** Label of containers for which no control server decides. */
const standaloneServer = 'standalone'

/** A machine without a control server: what runs here is decided by whoever calls the local API (document 004's server). */
export async function startStandaloneAgent(
  options: AgentOptions & {sharedFolders?: readonly string[]},
): Promise<{runtime: string; localApi: string; stop(): Promise<void>}> {
  const {directory} = options
  const identityPath = join(directory, 'identity.json')
  const joined = await loadIdentity(identityPath)
  if (joined) {
    throw new CannotStart(
      `This machine belongs to ${joined.server}.`,
      'Start the agent without --standalone; or leave that server: gpuctl agent reset.',
    )
  }
  if (!options.localApi) {
    throw new CannotStart('A standalone agent is its local API, and that is off.', 'Give --local-api HOST:PORT.')
  }
  const {lock, machineKey, gpus} = await openMachine(options)
  const nodeId = `${standaloneServer}-${sha256Hex(machineKey).slice(0, 12)}`
  const agent = await openAgent({...options, serverId: standaloneServer, nodeId, gpus})
  // Without it nobody could ask for anything: an address that is taken ends the agent, the usual one too.
  const localApi = {...options.localApi, isDefault: false}
  const started = await startWithLocalApi({...options, localApi, lock, agent, nodeId})
  return {runtime: agent.driver.name, localApi: started.localApi ?? '', stop: started.stop}
}
