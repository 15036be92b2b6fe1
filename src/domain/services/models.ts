import type {Model} from '../../contract/schemas/models.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'
import {problem} from '../errors.ts'
import {modelsOf} from '../runtimes.ts'
import type {Services} from './services.ts'

type Kind = Model['kinds'][number]
const kinds: readonly Kind[] = ['chat', 'embedding', 'asr', 'tts']

/** The models of all approved runtimes, by their names. */
export function modelMethods(runtimes: Pick<Services['runtimes'], 'list'>): Services['models'] {
  const every = async () => modelsAmong(await runtimes.list({}))
  return {
    list: every,
    every,
    get: async ({id}) => {
      const found = (await every()).find(model => model.id === id)
      if (!found) throw problem('model_unknown', {model: id})
      return found
    },
  }
}

function modelsAmong(all: readonly Runtime[]): Model[] {
  const holders = new Map<string, Runtime[]>()
  for (const runtime of all) {
    if (runtime.approval !== 'approved') continue
    for (const id of modelsOf(runtime, runtime)) holders.set(id, [...(holders.get(id) ?? []), runtime])
  }
  return [...holders].sort(([one], [other]) => (one < other ? -1 : 1)).map(([id, held]) => describe(id, held))
}

function describe(id: string, held: readonly Runtime[]): Model {
  const runtimes = held.map(({id: runtimeId, name, status, loaded, excludedModels, requests}) => ({
    ...{id: runtimeId, name, status, activeRequests: requests.active},
    loaded: kinds.some(kind => loaded[kind].includes(id)),
    excluded: excludedModels.includes(id),
  }))
  const ready = runtimes.some(({status, excluded}) => status === 'online' && !excluded)
  const downloadProgress = progressOf(id, held)
  const known = kinds.filter(kind => held.some(({loaded}) => loaded[kind].includes(id)))
  return {
    ...{id, ready, downloadProgress, runtimes},
    status: ready ? 'ready' : downloadProgress === null ? 'unavailable' : 'downloading',
    kinds: known.length > 0 ? known : ['chat'],
  }
}

/** Of the runtime that is furthest. */
function progressOf(id: string, held: readonly Runtime[]): number | null {
  const shares = held.flatMap(({sync}) => {
    if (sync?.state !== 'running' || sync.progress?.modelId !== id) return []
    const {downloadedBytes, totalBytes} = sync.progress
    return totalBytes > 0 ? [Math.min(1, downloadedBytes / totalBytes)] : [0]
  })
  return shares.length > 0 ? Math.max(...shares) : null
}
