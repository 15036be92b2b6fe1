import {problem} from '../domain/errors.ts'
import {type AllocationTable, GpuTaken, type New} from '../domain/ports.ts'
import type {Allocation} from '../domain/records.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<Allocation>({
  table: 'allocations',
  kind: 'allocation',
  nameOf: allocation => allocation.id,
  columns: {
    claim_id: allocation => allocation.claimId,
    node_id: allocation => allocation.nodeId,
    released_at: allocation => allocation.releasedAt,
  },
  fromColumns: row => ({releasedAt: row.released_at as string | null}),
})

export function allocationTable(sql: Sql): AllocationTable {
  const table = new RecordTable({sql, layout})
  return {
    bind: allocation => sql.together(tx => bind(tx, allocation)),
    find: id => table.find(id),
    findByClaim: claimId => table.first('WHERE claim_id = ? AND released_at IS NULL', [claimId]),
    listLive: nodeId =>
      nodeId === undefined
        ? table.many('WHERE released_at IS NULL ORDER BY number')
        : table.many('WHERE node_id = ? AND released_at IS NULL ORDER BY number', [nodeId]),
    release: (id, at) =>
      sql.givingBack().together(async tx => {
        await tx.run('UPDATE allocations SET released_at = ? WHERE id = ? AND released_at IS NULL', [at, id])
        await tx.run('UPDATE allocation_gpus SET released_at = ? WHERE allocation_id = ? AND released_at IS NULL', [
          at,
          id,
        ])
      }),
  }
}

/**
 * The partial unique index on (node, GPU) decides. A conflict is met without an error of the database and leaves nothing
 * behind, so the transaction can go on to another place.
 */
async function bind(sql: Sql, allocation: New<Allocation>): Promise<Allocation> {
  const [row] = await sql.write(
    `INSERT INTO allocations (claim_id, node_id, released_at, body, id) VALUES (?, ?, NULL, ?, ?)
     ON CONFLICT (claim_id) WHERE released_at IS NULL DO NOTHING RETURNING number`,
    [allocation.claimId, allocation.nodeId, JSON.stringify(allocation), allocation.id],
  )
  // Another writer bound the claim first.
  if (!row) throw problem('changed_meanwhile', {kind: 'claim', name: allocation.claimId})
  // In one order everywhere, so that two writers wait for, and do not block, each other.
  const indexes = allocation.gpus.map(gpu => gpu.index).sort((a, b) => a - b)
  for (const index of indexes) {
    const taken = await sql.run(
      `INSERT INTO allocation_gpus (allocation_id, node_id, gpu_index) VALUES (?, ?, ?)
       ON CONFLICT (node_id, gpu_index) WHERE released_at IS NULL DO NOTHING`,
      [allocation.id, allocation.nodeId, index],
    )
    if (taken === 1) continue
    await sql.run('DELETE FROM allocation_gpus WHERE allocation_id = ?', [allocation.id])
    await sql.run('DELETE FROM allocations WHERE id = ?', [allocation.id])
    throw new GpuTaken(allocation.nodeId)
  }
  return {...allocation, number: row.number as number, releasedAt: null}
}
