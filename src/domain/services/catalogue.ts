import type {InputOf} from '../../contract/contract.ts'
import type {Image, Spec} from '../../contract/schemas/catalogue.ts'
import type {Caller} from '../caller.ts'
import type {CatalogueTable, Tables} from '../ports.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {type Finders, resolve} from './references.ts'
import type {Services} from './services.ts'

export function catalogueFinders<T extends Image | Spec>(kind: string, table: CatalogueTable<T>): Finders<T> {
  return {
    kind,
    byId: id => table.find(id),
    byNumber: number => table.findByNumber(number),
    byName: async name => [await table.findByName(name)].flatMap(found => found ?? []),
    byPrefix: async prefix => (await table.list()).filter(({id}) => id.startsWith(prefix)),
    nameOf: ({id, name}) => ({id, name}),
  }
}

export function imageMethods(deps: ServiceDependencies): Omit<Services['images'], 'pull'> {
  const change = changesOf<Image>(deps, 'image', tx => tx.images)
  return {
    list: async ({listed, name}) => filtered(await deps.store.images.list(), listed, name),
    get: ({id}) => resolve(id, catalogueFinders('image', deps.store.images)),
    create({name, address, ...input}, caller) {
      const defaults = {description: '', source: '', memorySplit: false, listed: true, remark: ''}
      return change.create({...defaults, ...input, name, address}, caller)
    },
    update: ({id, ...input}, caller) => change.update(id, input, caller),
    delete: ({id}, caller) => change.remove(id, caller),
  }
}

export function specMethods(deps: ServiceDependencies): Services['specs'] {
  const change = changesOf<Spec>(deps, 'spec', tx => tx.specs)
  return {
    async list({listed, name, gpuModel = ''}) {
      const found = filtered(await deps.store.specs.list(), listed, name)
      return found.filter(spec => spec.gpuModel.includes(gpuModel))
    },
    get: ({id}) => resolve(id, catalogueFinders('spec', deps.store.specs)),
    create(input: InputOf<'specs.create'>, caller) {
      const figures = {gpuCount: 0, gpuMemoryGiB: 0, cpus: 0, memoryGiB: 0, systemDiskGiB: 0, dataDiskGiB: 0}
      return change.create(
        {gpuModel: '', ...figures, pricePerHour: 0, memorySplit: false, listed: true, ...input},
        caller,
      )
    },
    update: ({id, ...input}, caller) => change.update(id, input, caller),
    delete: ({id}, caller) => change.remove(id, caller),
  }
}

type Fields<T> = Omit<T, 'id' | 'number' | 'createdAt' | 'updatedAt'>

function changesOf<T extends Image | Spec>(
  deps: ServiceDependencies,
  kind: 'image' | 'spec',
  table: (tx: Tables) => CatalogueTable<T>,
) {
  const {journal, clock, secrets, store} = deps
  const now = () => new Date(clock.now()).toISOString()
  return {
    create(fields: Fields<T>, caller: Caller): Promise<T> {
      return journal.change(async (tx, record) => {
        const entry = {...fields, id: secrets.uuid(), createdAt: now(), updatedAt: now()} as unknown as Omit<
          T,
          'number'
        >
        const made = await table(tx).insert(entry)
        await record.event(
          kind,
          made,
          'Created',
          `${caller.username} put ${made.name} into the catalogue.`,
          caller.username,
        )
        await record.audit(caller, `${kind}s.create`, made.id, {name: made.name})
        return made
      })
    },
    async update(reference: string, fields: Partial<Fields<T>>, caller: Caller): Promise<T> {
      const {id} = await resolve(reference, catalogueFinders(kind, table(store)))
      return journal.change(async (tx, record) => {
        const before = await resolve(id, catalogueFinders(kind, table(tx)))
        const after = {...before, ...fields, updatedAt: now()}
        await table(tx).save(after)
        await record.event(kind, after, 'Changed', `${caller.username} changed ${after.name}.`, caller.username)
        await record.audit(caller, `${kind}s.update`, id, {fields: Object.keys(fields)})
        return after
      })
    },
    async remove(reference: string, caller: Caller): Promise<{done: true}> {
      const {id} = await resolve(reference, catalogueFinders(kind, table(store)))
      await journal.change(async (tx, record) => {
        const entry = await resolve(id, catalogueFinders(kind, table(tx)))
        await table(tx).delete(id)
        await record.event(
          kind,
          entry,
          'Deleted',
          `${caller.username} took ${entry.name} out of the catalogue.`,
          caller.username,
        )
        await record.audit(caller, `${kind}s.delete`, id, {name: entry.name})
      })
      return {done: true}
    },
  }
}

function filtered<T extends Image | Spec>(entries: T[], listed: boolean | undefined, name: string | undefined): T[] {
  return entries.filter(
    entry => (listed === undefined || entry.listed === listed) && (name === undefined || entry.name.includes(name)),
  )
}
