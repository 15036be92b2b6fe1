import {closeSync, openSync, readdirSync, readSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {loadSqlite} from '../../src/store/sqlite-driver.ts'
import type {Acknowledged} from './claim-history.ts'

export interface StoreVerdict {
  /** Each a broken promise; none when all is well. */
  faults: string[]
  claims: number
  allocations: number
  liveAllocations: number
  byPhase: Record<string, number>
}

interface ClaimRow {
  id: string
  phase: string
  spec: string
  body: string
}

const phases = ['Pending', 'Scheduled', 'Running', 'Completed', 'Failed', 'Released']
const finals = new Set(['Completed', 'Failed', 'Released'])

/**
 * Reads the file of a server that has ended, past all of its code, and compares it with what clients were told:
 * every acknowledged claim is there once (I2, I3), no GPU in two live allocations (I1), phases are legal (I10).
 */
export async function checkStore(data: string, acknowledged: ReadonlyMap<string, Acknowledged>): Promise<StoreVerdict> {
  const faults: string[] = []
  const fault = (sentence: string) => faults.length < 100 && faults.push(sentence)
  const DatabaseSync = await loadSqlite()
  const database = new DatabaseSync(storeFile(data), {readOnly: true})
  const all = <T>(text: string) => database.prepare(text).all() as T[]
  try {
    for (const row of all<{integrity_check: string}>('PRAGMA integrity_check')) {
      if (row.integrity_check !== 'ok') fault(`integrity_check: ${row.integrity_check}`)
    }
    const claims = all<ClaimRow>('SELECT id, phase, spec, body FROM claims')
    const byKey = new Map<string, string[]>()
    const byPhase: Record<string, number> = {}
    for (const {id, phase, spec} of claims) {
      byPhase[phase] = (byPhase[phase] ?? 0) + 1
      if (!phases.includes(phase)) fault(`claim ${id} is in no legal phase: ${phase}`)
      const key = (JSON.parse(spec) as {labels?: {soak?: string}}).labels?.soak
      if (key !== undefined) byKey.set(key, [...(byKey.get(key) ?? []), id])
    }
    for (const [key, ids] of byKey) if (ids.length > 1) fault(`key ${key} made ${ids.length} claims: ${ids.join(', ')}`)
    const phaseOf = new Map(claims.map(({id, phase}) => [id, phase]))
    for (const [key, {id, cancelled}] of acknowledged) {
      if (byKey.get(key)?.[0] !== id) fault(`claim ${id} was acknowledged and is lost (key ${key})`)
      if (cancelled && !finals.has(phaseOf.get(id) ?? '')) fault(`claim ${id} was cancelled and is ${phaseOf.get(id)}`)
    }

    const doubles = all<{node_id: string; gpu_index: number; times: number}>(
      `SELECT g.node_id, g.gpu_index, COUNT(*) AS times FROM allocation_gpus g JOIN allocations a ON a.id = g.allocation_id
        WHERE a.released_at IS NULL GROUP BY g.node_id, g.gpu_index HAVING COUNT(*) > 1`,
    )
    for (const {node_id, gpu_index, times} of doubles)
      fault(`GPU ${gpu_index} of node ${node_id} is in ${times} live allocations`)
    const apart = all<{id: string}>(
      `SELECT a.id FROM allocations a JOIN allocation_gpus g ON g.allocation_id = a.id
        WHERE (a.released_at IS NULL) <> (g.released_at IS NULL)`,
    )
    for (const {id} of apart) fault(`allocation ${id} and its GPUs disagree about being released`)
    const live = all<{claim_id: string; times: number}>(
      'SELECT claim_id, COUNT(*) AS times FROM allocations WHERE released_at IS NULL GROUP BY claim_id',
    )
    const liveOf = new Map(live.map(({claim_id, times}) => [claim_id, times]))
    for (const {id, phase} of claims) {
      const times = liveOf.get(id) ?? 0
      if (times > 1) fault(`claim ${id} has ${times} live allocations`)
      if ((phase === 'Scheduled' || phase === 'Running') && times !== 1)
        fault(`claim ${id} is ${phase} without an allocation`)
    }
    const [{count: allocations} = {count: 0}] = all<{count: number}>('SELECT COUNT(*) AS count FROM allocations')
    return {faults, claims: claims.length, allocations, liveAllocations: live.length, byPhase}
  } finally {
    database.close()
  }
}

/** The SQLite file in the server's folder, whatever its name. */
export function storeFile(data: string): string {
  const folder = join(data, 'server')
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (!statSync(path).isFile()) continue
    const head = Buffer.alloc(16)
    const file = openSync(path, 'r')
    readSync(file, head, 0, 16, 0)
    closeSync(file)
    if (head.toString('latin1').startsWith('SQLite format 3')) return path
  }
  throw new Error(`No SQLite file lies in ${folder}.`)
}
