import type {Beat} from '../contract/schemas/nodes.ts'
import type {NodeTable} from '../domain/ports.ts'
import type {NodeRecord} from '../domain/records.ts'
import {Conditions, layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<NodeRecord>({
  table: 'nodes',
  kind: 'node',
  nameOf: node => node.name || node.hostname,
  columns: {
    version: node => node.version,
    name: node => node.name,
    admission: node => node.admission,
    code: node => node.code,
    code_expires_at: node => node.codeExpiresAt,
    key_hash: node => node.keyHash,
    storage_quota_gb: node => node.storageQuotaGb,
    total_available_gb: node => node.totalAvailableGb,
  },
  fromColumns: row => ({
    storageQuotaGb: row.storage_quota_gb as number,
    totalAvailableGb: row.total_available_gb as number,
  }),
})

/** Sizes of the statements that write many beats: few texts, and few round trips. */
const batchSizes = [100, 10, 1]

export function nodeTable(sql: Sql): NodeTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: node => table.insert(node),
    save: node => table.replaceVersion(node),
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    findByCode: code => table.first('WHERE code = ?', [code]),
    findByKeyHash: keyHash => table.first('WHERE key_hash = ?', [keyHash]),
    findActiveByName: name => table.first(`WHERE name = ? AND admission = 'active'`, [name]),
    list(filter = {}) {
      const conditions = new Conditions()
      if (filter.admission) conditions.add('admission = ?', filter.admission)
      return table.many(`${conditions}ORDER BY number`, conditions.values)
    },
    listExpired: now => table.many(`WHERE admission = 'pending' AND code_expires_at < ? ORDER BY number`, [now]),
    delete: id =>
      sql.givingBack().together(async tx => {
        await new RecordTable({sql: tx, layout}).delete(id)
        await tx.run('DELETE FROM node_beats WHERE node_id = ?', [id])
      }),
    async saveBeats(beats) {
      // One beat a node: a statement cannot change a row twice. In order of the nodes, so that two writers do not block each other.
      const newest = new Map(beats.map(beat => [beat.nodeId, beat]))
      const rows = [...newest.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
      if (rows.length > 0) await sql.together(tx => writeBeats(tx, rows))
    },
    async listBeats() {
      const rows = await sql.all(
        'SELECT b.node_id, b.at, b.beat FROM node_beats b JOIN nodes n ON n.id = b.node_id ORDER BY n.number',
      )
      return rows.map(row => ({
        nodeId: row.node_id as string,
        at: row.at as string,
        beat: JSON.parse(row.beat as string) as Beat,
      }))
    },
  }
}

async function writeBeats(sql: Sql, rows: {nodeId: string; at: string; beat: Beat}[]): Promise<void> {
  let done = 0
  for (const size of batchSizes) {
    for (; rows.length - done >= size; done += size) {
      const values = rows.slice(done, done + size).flatMap(row => [row.nodeId, row.at, JSON.stringify(row.beat)])
      await sql.run(
        `INSERT INTO node_beats (node_id, at, beat) VALUES ${new Array(size).fill('(?, ?, ?)').join(', ')}
         ON CONFLICT (node_id) DO UPDATE SET at = excluded.at, beat = excluded.beat`,
        values,
      )
    }
  }
}
