import {Type} from 'typebox'
import type {Backup, Site} from '../../../contract/schemas/sites.ts'
import {problem} from '../../../domain/errors.ts'
import type {KeptNode} from '../../../domain/services/node-keeping.ts'
import {inGb} from '../../../domain/storage-quota.ts'
import {route} from '../../dialect.ts'
import {
  BackupList,
  BackupPage,
  ById,
  NodeDetail,
  NodeResponse,
  naive,
  Page,
  QuotaStatus,
  QuotaUpdate,
  SitePage,
  seconds,
} from './wire.ts'

/** wire.md 4.1 and 4.4: nodes as their administrators see them, their storage, sites and backups. */
export const nodeRoutes = [
  route({
    method: 'GET',
    path: '/api/v1/nodes',
    access: 'viewer',
    summary: 'The nodes that you administer; all, waiting ones too, for super administrators.',
    query: Page,
    output: Type.Array(NodeResponse),
    handle: async ({query: {skip = 0, limit = 100}, asker, services}) =>
      (await services.nodes.kept({offset: skip, limit}, asker)).map(nodeResponse),
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/:id',
    access: 'node_admin',
    summary: 'One node with its storage and its load of the last ten minutes.',
    params: ById,
    output: NodeDetail,
    handle: async ({params, asker, services}) => {
      const node = await services.nodes.keptOne(params.id, asker)
      return {
        ...nodeResponse(node),
        total_available_gb: node.totalAvailableGb,
        storage_used_gb: inGb(node.usedBytes),
        sites_count: node.sitesCount,
        backups_count: node.backupsCount,
        stats: node.samples.map(sampleToWire),
      }
    },
  }),
  route({
    method: 'PUT',
    path: '/api/v1/nodes/:id/quota',
    access: 'super_admin',
    summary: 'Set the storage quota of a node.',
    params: ById,
    body: QuotaUpdate,
    output: NodeResponse,
    handle: async ({params, body, asker, services}) => {
      const {id} = await services.nodes.keptOne(params.id, asker)
      await services.nodes.setQuota({id, storageQuotaGb: body.storage_quota_gb}, asker)
      return nodeResponse(await services.nodes.keptOne(id, asker))
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/:id/quota/status',
    access: 'node_admin',
    summary: 'What the sites of a node use of its storage quota.',
    params: ById,
    output: QuotaStatus,
    handle: async ({params, asker, services}) => {
      const {id} = await services.nodes.keptOne(params.id, asker)
      const status = await services.nodes.quotaStatus({id}, asker)
      return {
        node_id: status.number,
        hostname: status.hostname,
        used_gb: inGb(status.usedBytes),
        quota_gb: status.storageQuotaGb,
        usage_percent: status.usagePercent,
        is_over_quota: status.isOverQuota,
        sites_count: status.sitesCount,
        sites_over_quota: status.sitesOverQuota,
        sites_warning: status.sitesWarning,
        sites_breakdown: status.sites.map(site => ({
          site_id: site.number,
          site_name: site.name,
          used_gb: inGb(site.usedBytes),
          quota_gb: inGb(site.quotaBytes),
          usage_percent: site.usagePercent,
          is_over_quota: site.isOverQuota,
        })),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/:id/sites',
    access: 'node_admin',
    summary: 'The sites of a node.',
    params: ById,
    query: Page,
    output: SitePage,
    handle: async ({params, query: {skip: offset = 0, limit = 100}, asker, services}) => {
      const {id: node, number, sitesCount: total} = await services.nodes.keptOne(params.id, asker)
      const sites = await services.sites.list({node, offset, limit}, asker)
      return {sites: sites.map(site => siteToWire(site, number)), total}
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/:id/backups',
    access: 'node_admin',
    summary: 'The backups of a node, the newest first.',
    params: ById,
    query: BackupPage,
    output: BackupList,
    handle: async ({params, query: {skip: offset = 0, limit = 50, site_id}, asker, services}) => {
      const {id: node, hostname} = await services.nodes.keptOne(params.id, asker)
      const sites = await services.sites.list({node}, asker)
      const chosen = sites.find(({id, number}) => site_id === String(number) || site_id?.toLowerCase() === id)
      if (site_id !== undefined && !chosen) throw problem('site_elsewhere', {site: site_id, node: hostname})
      const wanted = {node, site: chosen?.id}
      const numbers = new Map(sites.map(({id, number}) => [id, number]))
      const backups = await services.backups.list({...wanted, offset, limit}, asker)
      return {
        backups: backups.map(backup => backupToWire(backup, numbers.get(backup.siteId) ?? null)),
        total: await services.backups.count(wanted, asker),
      }
    },
  }),
]

/** As lists have it: with the newest sample alone. */
export function nodeResponse(node: KeptNode) {
  return {
    id: node.number,
    hostname: node.hostname,
    ip_address: node.address,
    uuid: node.id,
    status: node.admission,
    storage_quota_gb: node.storageQuotaGb,
    storage_used_bytes: node.usedBytes,
    max_retention_copies: 10,
    max_concurrent_backups: 2,
    stats: node.samples.slice(0, 1).map(sampleToWire),
    ...(node.code === null ? {} : {registration_code: node.code}),
  }
}

function sampleToWire({atMs, cpuPercent, diskPercent, activeBackups}: KeptNode['samples'][number]) {
  return {
    cpu_usage: cpuPercent,
    disk_usage: diskPercent,
    active_backups: activeBackups,
    timestamp: seconds(new Date(atMs).toISOString()),
  }
}

function siteToWire(site: Site, nodeNumber: number) {
  return {
    id: site.number,
    uuid: site.id,
    name: site.name,
    wp_path: site.wpPath,
    db_name: site.dbName,
    node_id: nodeNumber,
    node_uuid: site.nodeId,
    status: site.status,
    storage_used_bytes: site.usedBytes,
    storage_quota_gb: inGb(site.quotaBytes),
    storage_used_gb: inGb(site.usedBytes),
    last_backup: site.lastBackupAt && naive(site.lastBackupAt),
    schedule_frequency: site.scheduleFrequency,
    schedule_time: site.scheduleTime,
    schedule_days: site.scheduleDays,
    retention_copies: site.retentionCopies,
    next_run_at: site.nextRunAt && naive(site.nextRunAt),
  }
}

function backupToWire(backup: Backup, siteNumber: number | null) {
  return {
    id: backup.number,
    site_id: siteNumber,
    site_name: backup.site,
    filename: backup.filename,
    size_bytes: backup.sizeBytes,
    size_gb: inGb(backup.sizeBytes),
    s3_path: backup.path,
    created_at: naive(backup.takenAt),
    backup_type: backup.type,
    status: backup.status,
    storage_provider: backup.provider,
  }
}
