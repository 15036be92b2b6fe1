import {closeSync, openSync, readdirSync, readSync, statSync} from 'node:fs'
import {join} from 'node:path'
import type {Allocation} from '../../src/domain/records.ts'
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

    for (const text of heldWrongly(all<HeldRow>('SELECT * FROM held_gpus'), all<{body: string}>(liveBodies)))
      fault(text)
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

const liveBodies = 'SELECT body FROM allocations WHERE released_at IS NULL'

interface HeldRow {
  node_id: string
  gpu_index: number
  allocation_id: string | null
  used_mib: number | null
}

/** The held cards, counted anew from the live allocations: whole ones have one holder, parts add up. */
function heldWrongly(rows: readonly HeldRow[], live: readonly {body: string}[]): string[] {
  const faults: string[] = []
  const counted = new Map<string, {whole: string[]; partsMiB: number}>()
  for (const {body} of live) {
    const {id, nodeId, gpus} = JSON.parse(body) as Allocation
    for (const {index, share} of gpus) {
      const {whole, partsMiB} = counted.get(`${index} of node ${nodeId}`) ?? {whole: [], partsMiB: 0}
      const next = share ? {whole, partsMiB: partsMiB + share.memoryMiB} : {whole: [...whole, id], partsMiB}
      counted.set(`${index} of node ${nodeId}`, next)
    }
  }
  for (const [card, {whole, partsMiB}] of counted) {
    if (whole.length > 1 || (whole.length === 1 && partsMiB > 0))
      faults.push(`GPU ${card} is in several live allocations`)
  }
  for (const {node_id, gpu_index, allocation_id, used_mib} of rows) {
    const card = `${gpu_index} of node ${node_id}`
    const {whole, partsMiB} = counted.get(card) ?? {whole: [], partsMiB: 0}
    if ((whole[0] ?? null) !== allocation_id || partsMiB !== (used_mib ?? 0)) faults.push(`GPU ${card} is held wrongly`)
    counted.delete(card)
  }
  for (const card of counted.keys()) faults.push(`GPU ${card} is in a live allocation and free`)
  return faults
}
