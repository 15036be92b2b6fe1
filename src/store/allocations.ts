import type {Claim} from '../contract/schemas/claims.ts'
import type {HeldGpu} from '../contract/schemas/nodes.ts'
import {problem} from '../domain/errors.ts'
import {type AllocationTable, GpuTaken, type HeldTime, type New} from '../domain/ports.ts'
import type {Allocation} from '../domain/records.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Row, Sql} from './sql.ts'

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
    held: async () => (await sql.all(`${heldTimes} WHERE a.released_at IS NULL`)).map(heldTime),
    heldBefore: async ({since, after, limit}) => {
      const rows = await sql.all(
        `${heldTimes} WHERE a.released_at >= ? AND (a.released_at > ? OR a.number > ?) AND a.released_at IS NOT NULL
         ORDER BY a.released_at, a.number LIMIT ?`,
        [after?.to ?? since, after?.to ?? since, after?.number ?? 0, limit],
      )
      return rows.map(heldTime)
    },
    async resize(id, limits) {
      const allocation = await table.find(id)
      if (!allocation) return
      const body = JSON.stringify({...allocation, ...limits})
      await sql.run('UPDATE allocations SET body = ? WHERE id = ? AND released_at IS NULL', [body, id])
    },
    release: (id, at) =>
      sql.givingBack().together(async tx => {
        const released = await tx.run('UPDATE allocations SET released_at = ? WHERE id = ? AND released_at IS NULL', [
          at,
          id,
        ])
        const allocation = released === 1 ? await new RecordTable({sql: tx, layout}).find(id) : undefined
        if (allocation) await giveBack(tx, allocation, inOrder(allocation.gpus))
      }),
  }
}

const heldTimes = `SELECT a.number, a.claim_id, a.node_id, a.released_at, a.body, c.owner_id, c.body AS claim
  FROM allocations a LEFT JOIN claims c ON c.id = a.claim_id`

function heldTime(row: Row): HeldTime {
  const {gpus, createdAt}: Allocation = JSON.parse(row.body as string)
  const claim: Partial<Claim> = JSON.parse((row.claim as string | null) ?? '{}')
  return {
    number: row.number as number,
    claimId: row.claim_id as string,
    ownerId: (row.owner_id as string | null) ?? '',
    owner: claim.owner ?? '',
    nodeId: row.node_id as string,
    spec: claim.catalogueSpec?.name ?? '',
    pricePerHour: claim.pricePerHour ?? 0,
    cards: gpus.reduce((sum, {share}) => sum + (share ? share.memoryMiB / share.cardMiB : 1), 0),
    from: createdAt,
    to: row.released_at as string | null,
  }
}

/**
 * The primary key (node, GPU) of held_gpus decides. A conflict is met without an error of the database and leaves nothing
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
  const taken: HeldGpu[] = []
  for (const gpu of inOrder(allocation.gpus)) {
    if (await take(sql, allocation, gpu)) {
      taken.push(gpu)
      continue
    }
    await giveBack(sql, allocation, taken)
    await sql.run('DELETE FROM allocations WHERE id = ?', [allocation.id])
    throw new GpuTaken(allocation.nodeId)
  }
  return {...allocation, number: row.number as number, releasedAt: null}
}

/** In one order everywhere, so that two writers wait for, and do not block, each other. */
function inOrder(gpus: readonly HeldGpu[]): HeldGpu[] {
  return [...gpus].sort((a, b) => a.index - b.index)
}

/** One statement each, which locks the row of the card: the whole card if nobody has any of it, or a part that is left. */
async function take(sql: Sql, {id, nodeId}: New<Allocation>, {index, share}: HeldGpu): Promise<boolean> {
  if (!share) {
    const whole = `INSERT INTO held_gpus (node_id, gpu_index, allocation_id) VALUES (?, ?, ?)
      ON CONFLICT (node_id, gpu_index) DO NOTHING`
    return (await sql.run(whole, [nodeId, index, id])) === 1
  }
  if (share.memoryMiB > share.cardMiB) return false
  const part = `INSERT INTO held_gpus (node_id, gpu_index, total_mib, used_mib) VALUES (?, ?, ?, ?)
    ON CONFLICT (node_id, gpu_index) DO UPDATE
      SET used_mib = held_gpus.used_mib + excluded.used_mib, total_mib = excluded.total_mib
      WHERE held_gpus.allocation_id IS NULL AND held_gpus.used_mib + excluded.used_mib <= excluded.total_mib`
  return (await sql.run(part, [nodeId, index, share.cardMiB, share.memoryMiB])) === 1
}

async function giveBack(sql: Sql, {id, nodeId}: New<Allocation>, gpus: readonly HeldGpu[]): Promise<void> {
  if (gpus.some(({share}) => !share)) await sql.run('DELETE FROM held_gpus WHERE allocation_id = ?', [id])
  for (const {index, share} of gpus) {
    if (!share) continue
    const place = [nodeId, index]
    await sql.run('UPDATE held_gpus SET used_mib = used_mib - ? WHERE node_id = ? AND gpu_index = ?', [
      share.memoryMiB,
      ...place,
    ])
    await sql.run('DELETE FROM held_gpus WHERE node_id = ? AND gpu_index = ? AND used_mib = 0', place)
  }
}
