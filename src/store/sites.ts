import type {BackupFilter, BackupTable, Reach, SiteTable} from '../domain/ports.ts'
import type {BackupRecord, SiteRecord} from '../domain/records.ts'
import {Conditions, layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const siteLayout = layoutOf<SiteRecord>({
  table: 'sites',
  kind: 'site',
  nameOf: site => site.name,
  columns: {
    version: site => site.version,
    node_id: site => site.nodeId,
    name: site => site.name,
    used_bytes: site => site.usedBytes,
    quota_bytes: site => site.quotaBytes,
    owner_id: site => site.ownerId ?? null,
    next_run_at: site => site.nextRunAt,
  },
})

const backupLayout = layoutOf<BackupRecord>({
  table: 'backups',
  kind: 'backup',
  nameOf: backup => backup.filename,
  columns: {
    site_id: backup => backup.siteId,
    node_id: backup => backup.nodeId,
    filename: backup => backup.filename,
    taken_at: backup => backup.takenAt,
    owner_id: backup => backup.ownerId ?? null,
  },
  fromColumns: row => (row.owner_id === null ? {} : {ownerId: row.owner_id as string}),
})

/** All, when there is no limit. */
const everything = Number.MAX_SAFE_INTEGER

export function siteTable(sql: Sql): SiteTable {
  const table = new RecordTable({sql, layout: siteLayout})
  return {
    insert: site => table.insert(site),
    save: site => table.replaceVersion(site),
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    findByName: (nodeId, name) => table.first('WHERE node_id = ? AND name = ?', [nodeId, name]),
    share: id => table.share(id),
    due: (now, limit) => table.many('WHERE next_run_at <= ? ORDER BY next_run_at LIMIT ?', [now, limit]),
    list({nodeIds, ownerId, limit = everything, offset = 0}) {
      const conditions = new Conditions()
      if (ownerId === undefined) conditions.addIn('node_id', nodeIds)
      else addReach(conditions, {nodeIds: nodeIds ?? [], ownerId})
      return table.many(`${conditions}ORDER BY number LIMIT ? OFFSET ?`, [...conditions.values, limit, offset])
    },
    async totals() {
      const rows = await sql.all(
        `SELECT node_id, COUNT(*) AS sites, CAST(SUM(used_bytes) AS BIGINT) AS used_bytes,
          CAST(SUM(quota_bytes) AS BIGINT) AS quota_bytes FROM sites GROUP BY node_id`,
      )
      return new Map(
        rows.map(row => [
          row.node_id as string,
          {sites: Number(row.sites), usedBytes: Number(row.used_bytes), quotaBytes: Number(row.quota_bytes)},
        ]),
      )
    },
    delete: id => table.delete(id),
    async mountedBy(id) {
      const rows = await sql.all(
        `SELECT c.id, c.name FROM site_mounts m JOIN claims c ON c.id = m.claim_id WHERE m.site_id = ? AND (c.live = 1
          OR EXISTS (SELECT 1 FROM allocations a WHERE a.claim_id = c.id AND a.released_at IS NULL)) ORDER BY c.number`,
        [id],
      )
      return rows.map(row => ({claimId: row.id as string, claim: row.name as string}))
    },
    async noteMount(id, claimId) {
      await sql.run('INSERT INTO site_mounts (site_id, claim_id) VALUES (?, ?)', [id, claimId])
    },
  }
}

export function backupTable(sql: Sql): BackupTable {
  const table = new RecordTable({sql, layout: backupLayout})
  return {
    insert: backup => table.insert(backup),
    save: backup => table.replace(backup),
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    findByFilename: (siteId, filename) => table.first('WHERE site_id = ? AND filename = ?', [siteId, filename]),
    list({limit = everything, offset = 0, ...filter}) {
      const conditions = chosen(filter)
      const order = 'ORDER BY taken_at DESC, number DESC LIMIT ? OFFSET ?'
      return table.many(`${conditions}${order}`, [...conditions.values, limit, offset])
    },
    async count(filter) {
      const conditions = chosen(filter)
      const row = await sql.get(`SELECT COUNT(*) AS backups FROM backups ${conditions}`, conditions.values)
      return Number(row?.backups ?? 0)
    },
    delete: id => table.delete(id),
  }
}

function chosen({seenBy, nodeIds, siteIds}: BackupFilter): Conditions {
  const conditions = new Conditions()
  if (seenBy) addReach(conditions, seenBy)
  conditions.addIn('node_id', nodeIds)
  conditions.addIn('site_id', siteIds)
  return conditions
}

/** On those nodes, or the user's own. */
function addReach(conditions: Conditions, {nodeIds, ownerId}: Reach): void {
  const onNodes = nodeIds.length > 0 ? `node_id IN (${nodeIds.map(() => '?').join(', ')})` : '1 = 0'
  conditions.add(`(${onNodes} OR owner_id = ?)`, ...nodeIds, ownerId)
}
