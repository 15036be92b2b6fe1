import type {Applied} from '../../contract/schemas/applied.ts'
import {livePhases} from '../claim.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

/** What apply has made: the journal marks it in the transaction in which it is made. */
export function appliedMethods({store}: Pick<ServiceDependencies, 'store'>): Services['applied'] {
  return {
    async list({set}, {id: ownerId}) {
      const marked = new Set(await store.applyMarks.objectsOf(ownerId, set))
      if (marked.size === 0) return []
      const [specs, images, claims] = [
        await store.specs.list(),
        await store.images.list(),
        await store.claims.list({ownerId, phases: livePhases}),
      ]
      const found: Applied[] = [
        ...specs.map(({id, name}) => ({id, name, kind: 'spec' as const})),
        ...images.map(({id, name}) => ({id, name, kind: 'image' as const})),
        ...claims.map(({id, name, catalogueSpec}) => {
          return {id, name, kind: catalogueSpec ? ('instance' as const) : ('claim' as const)}
        }),
      ]
      return found.filter(({id}) => marked.has(id))
    },
  }
}
