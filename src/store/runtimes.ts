import type {RuntimeTable} from '../domain/ports.ts'
import type {RuntimeRecord, RuntimeState} from '../domain/runtimes.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<RuntimeRecord>({
  table: 'runtimes',
  kind: 'runtime',
  nameOf: runtime => `${runtime.machineName} (${runtime.address}, port ${runtime.port})`,
  columns: {
    version: runtime => runtime.version,
    address: runtime => runtime.address,
    port: runtime => runtime.port,
    token_hash: runtime => runtime.tokenHash,
    node_id: runtime => runtime.nodeId,
  },
  // The database forgets the machine by itself when that is deleted.
  fromColumns: row => ({nodeId: row.node_id as string | null}),
})

export function runtimeTable(sql: Sql): RuntimeTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: runtime => table.insert(runtime),
    save: runtime => table.replaceVersion(runtime),
    find: id => table.find(id),
    findByEndpoint: (address, port) => table.first('WHERE address = ? AND port = ?', [address, port]),
    findByTokenHash: tokenHash => table.first('WHERE token_hash = ?', [tokenHash]),
    list: () => table.many('ORDER BY number'),
    listOfNode: nodeId => table.many('WHERE node_id = ? ORDER BY number', [nodeId]),
    delete: id => table.delete(id),
    async saveStates(states) {
      // In order of the ids, so that two writers do not block each other.
      const rows = [...states].sort((a, b) => (a.runtimeId < b.runtimeId ? -1 : 1))
      if (rows.length === 0) return
      await sql.together(async tx => {
        for (const {runtimeId, state} of rows) {
          // The runtime may have been deleted since the beat.
          await tx.run(
            `INSERT INTO runtime_states (runtime_id, state) SELECT id, ? FROM runtimes WHERE id = ?
             ON CONFLICT (runtime_id) DO UPDATE SET state = excluded.state`,
            [JSON.stringify(state), runtimeId],
          )
        }
      })
    },
    async listStates() {
      const rows = await sql.all('SELECT runtime_id, state FROM runtime_states ORDER BY runtime_id')
      return rows.map(row => ({
        runtimeId: row.runtime_id as string,
        state: JSON.parse(row.state as string) as RuntimeState,
      }))
    },
  }
}
