import type {Claim, ClaimPhase} from '../contract/schemas/claims.ts'
import type {ClaimTable, QueuedClaim} from '../domain/ports.ts'
import {Conditions, type Fields, layoutOf, RecordTable} from './record-table.ts'
import {booleanValue, type Sql, type Value} from './sql.ts'

const fields: Fields<Claim> = {
  table: 'claims',
  kind: 'claim',
  nameOf: claim => claim.name,
  columns: {
    version: claim => claim.version,
    owner_id: claim => claim.ownerId,
    name: claim => claim.name,
    created_at: claim => claim.createdAt,
    phase: claim => claim.status.phase,
    live: claim => booleanValue(isLive(claim.status.phase)),
    priority: claim => claim.spec.priority ?? 0,
    gpu_count: claim => claim.spec.gpus?.count ?? 0,
    // Apart from the body, because the queue reads a hundred thousand of them and nothing else.
    spec: claim => JSON.stringify(claim.spec),
  },
  toBody: ({spec: _, ...rest}) => rest,
  fromColumns: row => ({spec: JSON.parse(row.spec as string)}),
}

const always = ['owner_id', 'created_at']
const layout = layoutOf<Claim>({...fields, fixed: [...always, 'name', 'priority', 'gpu_count', 'spec']})
const changedLayout = layoutOf<Claim>({...fields, fixed: always})

/** A LIMIT that is none, in both dialects. */
const everything = Number.MAX_SAFE_INTEGER

export function claimTable(sql: Sql): ClaimTable {
  const table = new RecordTable({sql, layout})
  const pendingWhere = async (condition: string, values: Value[], limit: number): Promise<QueuedClaim[]> => {
    const rows = await sql.all(
      `SELECT id, number, owner_id, created_at, spec FROM claims WHERE phase = 'Pending' ${condition}
       ORDER BY priority DESC, number LIMIT ?`,
      [...values, limit],
    )
    return rows.map(row => ({
      id: row.id as string,
      number: row.number as number,
      ownerId: row.owner_id as string,
      createdAt: row.created_at as string,
      spec: JSON.parse(row.spec as string) as Claim['spec'],
    }))
  }
  return {
    insert: claim => table.insert(claim),
    save(claim) {
      if (isLive(claim.status.phase)) return table.replaceVersion(claim)
      return new RecordTable({sql: sql.givingBack(), layout}).replaceVersion(claim)
    },
    saveSpec: claim => new RecordTable({sql, layout: changedLayout}).replaceVersion(claim),
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    list({ownerId, phases, name, limit = 1000, offset = 0}) {
      const conditions = new Conditions()
      if (ownerId !== undefined) conditions.add('owner_id = ?', ownerId)
      if (name !== undefined) conditions.add('name = ?', name)
      conditions.addIn('phase', phases)
      return table.many(`${conditions}ORDER BY number DESC LIMIT ? OFFSET ?`, [...conditions.values, limit, offset])
    },
    findByPrefix: (prefix, ownerId, limit) => table.findByPrefix(prefix, ownerId, limit),
    findLiveByName: (ownerId, name) => table.first('WHERE owner_id = ? AND name = ? AND live = 1', [ownerId, name]),
    async pending({after, limit} = {limit: everything}) {
      if (!after) return pendingWhere('', [], limit)
      // Two steps, because each is one walk along the index of the queue, and both at once are not.
      const priority = after.spec.priority ?? 0
      const same = await pendingWhere('AND priority = ? AND number > ?', [priority, after.number], limit)
      if (same.length >= limit) return same
      return [...same, ...(await pendingWhere('AND priority < ?', [priority], limit - same.length))]
    },
    async gpusHeldBy(ownerId) {
      const row = await sql.get(
        'SELECT CAST(COALESCE(SUM(gpu_count), 0) AS BIGINT) AS held FROM claims WHERE owner_id = ? AND live = 1',
        [ownerId],
      )
      return row!.held as number
    },
    async countByPhase() {
      const rows = await sql.all('SELECT phase, COUNT(*) AS count FROM claims GROUP BY phase')
      return Object.fromEntries(rows.map(row => [row.phase as ClaimPhase, row.count as number]))
    },
  }
}

function isLive(phase: ClaimPhase): boolean {
  return phase === 'Pending' || phase === 'Scheduled' || phase === 'Running'
}
