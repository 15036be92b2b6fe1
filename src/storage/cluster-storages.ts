import type {FoundCluster, RegisteredStorage, StorageInput, StorageRegistration} from '../contract/storage-protocol.ts'
import type {StorageLocks} from './locks.ts'
import {type Proxmox, proxmoxPlans} from './proxmox.ts'

interface ClusterStorageParts {
  proxmox: Proxmox
  locks: StorageLocks
}

/**
 * What the cluster manager knows of storage. One name may stand for the same export on several machines: each comes to it
 * and goes from it by itself, and with the last one the name goes. One change at a time, also after an agent that was killed.
 */
export class ClusterStorages {
  readonly #parts: ClusterStorageParts

  constructor(parts: ClusterStorageParts) {
    this.#parts = parts
  }

  async register(input: StorageRegistration, signal?: AbortSignal): Promise<null> {
    const {proxmox, locks} = this.#parts
    await locks.hold('cluster', async lock => {
      const known = (await proxmox.look()).storages.find(one => isSame(one, input))
      const nodes = [...new Set([...(known?.nodes ?? []), ...input.nodes])]
      const commands = known ? proxmoxPlans.place({storage: input.storage, nodes}) : proxmoxPlans.register(input)
      if (!known || !isEverywhere(known, input.nodes)) await proxmox.run(commands, {signal, lock})
    })
    return null
  }

  async unregister({storage, nodes}: StorageInput<'storage.unregister'>, signal?: AbortSignal): Promise<null> {
    const {proxmox, locks} = this.#parts
    await locks.hold('cluster', async lock => {
      const found = await proxmox.look()
      const left = othersOf(found, storage, nodes)
      const commands = left.length > 0 ? proxmoxPlans.place({storage, nodes: left}) : proxmoxPlans.unregister({storage})
      await proxmox.run(commands, {signal, lock})
    })
    return null
  }
}

function isSame(one: RegisteredStorage, {storage, type, pool, server, exportPath}: StorageRegistration): boolean {
  return (
    one.storage === storage && one.type === type && one.source === (type === 'nfs' ? `${server}:${exportPath}` : pool)
  )
}

/** Without a list a storage is on all machines. */
function isEverywhere(known: RegisteredStorage, nodes: readonly string[]): boolean {
  return known.nodes.length === 0 || nodes.every(node => known.nodes.includes(node))
}

/** Names that are no members of this cluster have a registration of their own elsewhere, and no say here. */
function othersOf({storages, members}: FoundCluster, storage: string, nodes: readonly string[]): string[] {
  const known = storages.find(one => one.storage === storage)?.nodes ?? []
  return known.filter(node => members.includes(node) && !nodes.includes(node))
}
