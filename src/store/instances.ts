import type {Instance} from '../contract/schemas/instances.ts'
import type {InstanceFilter, InstanceTable} from '../domain/ports.ts'
import {Conditions, type Fields, layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const fields: Fields<Instance> = {
  table: 'instances',
  kind: 'instance',
  nameOf: instance => instance.name,
  columns: {
    version: instance => instance.version,
    claim_id: instance => instance.claimId,
    owner_id: instance => instance.ownerId,
    node_id: instance => instance.nodeId,
    name: instance => instance.name,
    status: instance => instance.status,
    deleted: instance => (instance.desired === 'deleted' ? 1 : 0),
  },
}

const always = ['claim_id', 'owner_id']
const layout = layoutOf<Instance>({...fields, fixed: [...always, 'name']})
const namedLayout = layoutOf<Instance>({...fields, fixed: always})

const claimIsLive = 'EXISTS (SELECT 1 FROM claims WHERE claims.id = instances.claim_id AND claims.live = 1)'

export function instanceTable(sql: Sql): InstanceTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: instance => table.insert(instance),
    save(instance) {
      const isEnding = instance.desired !== 'running' || instance.status === 'exited' || instance.status === 'failed'
      const to = isEnding ? new RecordTable({sql: sql.givingBack(), layout}) : table
      return to.replaceVersion(instance)
    },
    saveName: instance => new RecordTable({sql, layout: namedLayout}).replaceVersion(instance),
    find: id => table.find(id),
    lock: id => table.lock(id),
    findByNumber: number => table.findByNumber(number),
    findByClaim: claimId => table.first('WHERE claim_id = ?', [claimId]),
    findByPrefix: (prefix, ownerId, limit) => table.findByPrefix(prefix, ownerId, limit),
    list({limit = 1000, offset = 0, ...filter}) {
      const conditions = conditionsOf(filter)
      return table.many(`${conditions}ORDER BY number DESC LIMIT ? OFFSET ?`, [...conditions.values, limit, offset])
    },
    async count(filter) {
      const conditions = conditionsOf(filter)
      const row = await sql.get(`SELECT COUNT(*) AS count FROM instances ${conditions}`, conditions.values)
      return Number(row?.count ?? 0)
    },
  }
}

function conditionsOf(filter: InstanceFilter): Conditions {
  const {ownerId, nodeId, statuses, live, deleted, name, namePart} = filter
  const conditions = new Conditions()
  if (ownerId !== undefined) conditions.add('owner_id = ?', ownerId)
  if (nodeId !== undefined) conditions.add('node_id = ?', nodeId)
  if (name !== undefined) conditions.add('name = ?', name)
  if (namePart !== undefined) conditions.add("lower(name) LIKE ? ESCAPE '!'", anywhere(namePart))
  if (live !== undefined) conditions.add(live ? claimIsLive : `NOT ${claimIsLive}`)
  // A number in the text, not a parameter: only so the index over what is not deleted is used.
  if (deleted !== undefined) conditions.add(deleted ? 'deleted = 1' : 'deleted = 0')
  conditions.addIn('status', statuses)
  return conditions
}

/** A pattern of LIKE that finds the text wherever it stands. */
function anywhere(text: string): string {
  return `%${text.toLowerCase().replace(/[!%_]/g, '!$&')}%`
}
