import type {
  FoundTemplate,
  StorageInput,
  StorageMethod,
  StorageOutput,
  TemplateCreation,
} from '../contract/storage-protocol.ts'
import {type JoinSettings, joinCluster} from './cluster-join.ts'
import {ClusterStorages} from './cluster-storages.ts'
import {StorageError} from './driver.ts'
import {fileName, machineName, machineNumber, markText, storageName} from './grammar.ts'
import type {StorageLocks} from './locks.ts'
import type {OsImages} from './os-images.ts'
import {copyMs, type Proxmox, proxmoxPlans} from './proxmox.ts'

/** Makes a container image of a packed root folder: what a template is where there are no virtual machines. */
export interface TemplateImages {
  /** `file` is a tar, packed or not. Throws where it is none, or the engine refuses. */
  import(file: string, image: {repository: string; tag: string; mark: string}, signal?: AbortSignal): Promise<void>
  /** The mark with which it was made. */
  find(image: {repository: string; tag: string}): Promise<{mark: string} | undefined>
  remove(image: {repository: string; tag: string}): Promise<void>
}

interface ClusterParts {
  proxmox: Proxmox
  osImages: OsImages
  locks: StorageLocks
  /** Absent where the machine runs no containers of images. */
  templateImages?: TemplateImages | undefined
  joinSettings?: JoinSettings | undefined
}

type ClusterMethod = Extract<
  StorageMethod,
  `${'cluster' | 'storage' | 'osImage' | 'osImages' | 'template' | 'templates'}.${string}`
>
type Methods = {[M in ClusterMethod]: (input: StorageInput<M>, signal?: AbortSignal) => Promise<StorageOutput<M>>}

/** What a machine does beside its own storage: its cluster manager, files of operating systems, templates of them. */
export function clusterMethods(parts: ClusterParts): Methods {
  const {proxmox, osImages} = parts
  const templates = new Templates(parts)
  const storages = new ClusterStorages(parts)
  return {
    'cluster.look': () => proxmox.look(),
    'cluster.join': async (input, signal) => {
      await joinCluster(input, parts.joinSettings, signal)
      return null
    },
    'storage.register': (input, signal) => storages.register(input, signal),
    'storage.unregister': (input, signal) => storages.unregister(input, signal),
    'osImages.list': () => osImages.list(),
    'osImage.delete': async ({storage, name}) => {
      const isProxmox = await proxmox.isPresent()
      if (storage !== 'local' && !isProxmox) {
        throw new StorageError('not_found', `This node has no storage ${storageName(storage)}.`)
      }
      const known = (await osImages.list()).filter(one => one.name === fileName(name))
      const isWhole = known.some(({sizeBytes, totalBytes}) => sizeBytes === totalBytes)
      if (isProxmox && (storage !== 'local' || isWhole)) await proxmox.run(proxmoxPlans.freeImage({storage, name}))
      else await osImages.delete(name)
      return null
    },
    'templates.list': async input => {
      const found = await templates.find(input)
      return found ? [found] : []
    },
    'template.create': (input, signal) => templates.create(input, signal),
    'template.delete': async input => {
      await templates.delete(input)
      return null
    },
  }
}

/** Templates: virtual machines of Proxmox, else container images. */
class Templates {
  readonly #parts: ClusterParts

  constructor(parts: ClusterParts) {
    this.#parts = parts
  }

  async find({id, name}: {id: string; name: string}): Promise<FoundTemplate | undefined> {
    const {proxmox, templateImages} = this.#parts
    if (await proxmox.isPresent()) return proxmox.machine(id)
    const found = await templateImages?.find(imageOf({id, name}))
    return found && {id, name, mark: found.mark, isReady: true}
  }

  create(input: TemplateCreation, signal?: AbortSignal): Promise<FoundTemplate> {
    return this.#change(input.id, lock => this.#create(input, {signal, lock}))
  }

  /** What this task has left half done is taken away first; what is another's is `exists`. */
  async #create(input: TemplateCreation, options: {signal?: AbortSignal; lock: string}): Promise<FoundTemplate> {
    const {proxmox, osImages, templateImages} = this.#parts
    const {id, mark} = input
    const file = await osImages.path(fileName(input.image))
    const found = await this.find(input)
    if (found && found.mark !== markText(mark)) {
      throw new StorageError('exists', `There is already a template ${id}, made by somebody else.`)
    }
    if (found?.isReady) return found
    if (await proxmox.isPresent()) {
      if (found) await proxmox.run(proxmoxPlans.dropTemplate({id}), options)
      await proxmox.run(proxmoxPlans.template(input, await osImages.folder()), options)
    } else if (templateImages) await this.#import(templateImages, file, input, options.signal)
    else throw new StorageError('unsupported', 'This node has neither Proxmox VE nor container images.')
    const made = await this.find(input)
    if (made?.mark !== mark) throw new StorageError('failed', `Template ${id} was made, and is not there.`)
    return made
  }

  async #import(images: TemplateImages, file: string, {id, name, mark}: TemplateCreation, signal?: AbortSignal) {
    try {
      await images.import(file, {...imageOf({id, name}), mark}, signal)
    } catch (error) {
      throw new StorageError('failed', (error as Error).message, {cause: error})
    }
  }

  delete({id, name, mark}: {id: string; name: string; mark: string}): Promise<void> {
    const {proxmox, templateImages} = this.#parts
    return this.#change(id, async lock => {
      const found = await this.find({id, name})
      if (found?.mark !== markText(mark)) return
      if (await proxmox.isPresent()) await proxmox.run(proxmoxPlans.dropTemplate({id}), {lock})
      else await templateImages?.remove(imageOf({id, name}))
    })
  }

  /** The copy of a disk that an agent before this one began is waited for. */
  async #change<T>(id: string, work: (lock: string) => Promise<T>): Promise<T> {
    return this.#parts.locks.hold(`template-${machineNumber(id)}`, work, copyMs)
  }
}

/** Names of images are in lower case. */
function imageOf({id, name}: {id: string; name: string}): {repository: string; tag: string} {
  return {repository: machineName(name).toLowerCase(), tag: machineNumber(id)}
}
