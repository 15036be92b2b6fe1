import {randomBytes, randomUUID} from 'node:crypto'
import {join} from 'node:path'
import type {Inventory} from '../../src/contract/agent-protocol.ts'
import type {New, Store} from '../../src/domain/ports.ts'
import type {NodeRecord} from '../../src/domain/records.ts'
import {sha256Hex} from '../../src/platform/ids.ts'
import {openStore} from '../../src/store/open.ts'
import type {RowContext} from './row.ts'
import {ServerProcess} from './server-process.ts'
import {storeFile} from './store-check.ts'

const perTransaction = 1_000

/** A server that knows that many admitted nodes, and their keys. They are written into its store, since ten thousand joins take minutes. */
export async function serverWithNodes(
  context: RowContext,
  name: string,
  count: number,
): Promise<{server: ServerProcess; keys: string[]}> {
  const data = join(context.folder, name)
  const first = await ServerProcess.start({program: context.program, data})
  await first.stop()
  const store = await openStore({
    at: storeFile(data),
    onFatal: error => {
      throw error
    },
  })
  const nodes = await writeNodes(store, count, () => null).finally(() => store.close())
  const server = await ServerProcess.start({program: context.program, data})
  context.atEnd(() => server.stop())
  return {server, keys: nodes.map(({key}) => key)}
}

/** Admitted nodes, as a join and its approval leave them. */
export async function writeNodes(
  store: Store,
  count: number,
  inventoryOf: (index: number) => Inventory | null,
): Promise<{id: string; key: string}[]> {
  const written: {id: string; key: string}[] = []
  for (let from = 0; from < count; from += perTransaction) {
    await store.transaction(async tx => {
      for (let index = from; index < Math.min(count, from + perTransaction); index++) {
        const key = `gpn_${randomBytes(32).toString('base64url')}`
        const {id} = await tx.nodes.insert(nodeRecord(index, key, inventoryOf(index)))
        written.push({id, key})
      }
    })
  }
  return written
}

function nodeRecord(index: number, key: string, inventory: Inventory | null): New<NodeRecord> {
  const at = new Date().toISOString()
  return {
    id: randomUUID(),
    createdAt: at,
    updatedAt: at,
    version: 0,
    name: `node-${index}`,
    hostname: `node-${index}`,
    admission: 'active',
    kind: 'agent',
    schedulable: true,
    cordonReason: '',
    code: null,
    codeExpiresAt: null,
    pollSecretHash: null,
    keyHash: sha256Hex(key),
    keyDeliveredAt: at,
    keyUsedAt: at,
    suspendedReason: '',
    address: '127.0.0.1',
    claimedAddress: '',
    fingerprint: '',
    gpuSummary: '',
    os: 'linux',
    agentVersion: 'bench',
    labels: {},
    ownerId: null,
    docker: null,
    declaredGpus: null,
    inventory,
    storageQuotaGb: 0,
    totalAvailableGb: 1000,
  }
}
