import {Type} from 'typebox'
import {Nullable} from '../../../contract/schemas/common.ts'
import {JoinRequest as NativeJoinRequest} from '../../../contract/schemas/nodes.ts'

// The shapes of document 003 (wire.md section 4). `id` is the integer, `uuid` the id of the native API.

const nullableText = Nullable(Type.String())
const nullableNumber = Nullable(Type.Number())

/** The integer in digits, or the uuid: with words there the other routes below /nodes cannot be meant. */
const Reference = Type.String({
  pattern: '^(\\d{1,15}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$',
  description: 'an integer, or the uuid',
})
export const ById = Type.Object({id: Reference})

const skip = Type.Optional(Type.Integer({minimum: 0, description: 'an integer from 0 on'}))
const limit = Type.Optional(Type.Integer({minimum: 1, maximum: 1000, description: 'an integer from 1 to 1000'}))
export const Page = Type.Object({skip, limit})
export const BackupPage = Type.Object({skip, limit, site_id: Type.Optional(Reference)})

export const JoinRequest = Type.Object({
  hostname: NativeJoinRequest.properties.hostname,
  ip_address: Type.Optional(Nullable(Type.String({maxLength: 45}))),
  system_info: Type.Optional(Nullable(Type.String({maxLength: 1024}))),
})
export const JoinReply = Type.Object({
  request_id: Type.String(),
  registration_code: Type.String(),
  message: Type.String(),
  /** Header X-Join-Secret of the polls; not in the document (security 3.1). */
  poll_secret: Type.String(),
})

export const ByCode = Type.Object({code: Type.String({maxLength: 64})})
export const ByRequest = Type.Object({request_id: Type.String({pattern: '^\\d{1,15}$', description: 'an integer'})})
export const JoinStatus = Type.Object({status: Type.String(), api_key: nullableText})

/** In the query as in the body; both may be left out in one of them. */
export const CodeApproval = Type.Object({
  code: Type.Optional(Type.String({maxLength: 64})),
  ip_address: Type.Optional(Nullable(Type.String({maxLength: 45}))),
})

const Sample = Type.Object({
  cpu_usage: nullableNumber,
  disk_usage: nullableNumber,
  active_backups: Type.Integer(),
  timestamp: Type.String(),
})

export const NodeResponse = Type.Object({
  id: Type.Integer(),
  hostname: Type.String(),
  ip_address: Type.String(),
  uuid: Type.String(),
  status: Type.Enum(['pending', 'active', 'blocked']),
  storage_quota_gb: Type.Integer(),
  storage_used_bytes: Type.Integer(),
  max_retention_copies: Type.Integer(),
  max_concurrent_backups: Type.Integer(),
  stats: Type.Array(Sample),
  /** Of a waiting node, for super administrators. */
  registration_code: Type.Optional(Type.String()),
})

export const NodeDetail = Type.Object({
  ...NodeResponse.properties,
  total_available_gb: Type.Integer(),
  storage_used_gb: Type.Number(),
  sites_count: Type.Integer(),
  backups_count: Type.Integer(),
})

export const QuotaUpdate = Type.Object({
  storage_quota_gb: Type.Integer({minimum: 0, maximum: 1_000_000, description: 'an integer from 0 on, in GB'}),
})

export const QuotaStatus = Type.Object({
  node_id: Type.Integer(),
  hostname: Type.String(),
  used_gb: Type.Number(),
  quota_gb: Type.Number(),
  usage_percent: Type.Number(),
  is_over_quota: Type.Boolean(),
  sites_count: Type.Integer(),
  sites_over_quota: Type.Integer(),
  sites_warning: Type.Integer(),
  sites_breakdown: Type.Array(
    Type.Object({
      site_id: Type.Integer(),
      site_name: Type.String(),
      used_gb: Type.Number(),
      quota_gb: Type.Number(),
      usage_percent: Type.Number(),
      is_over_quota: Type.Boolean(),
    }),
  ),
})

export const SitePage = Type.Object({
  sites: Type.Array(
    Type.Object({
      id: Type.Integer(),
      uuid: Type.String(),
      name: Type.String(),
      wp_path: nullableText,
      db_name: nullableText,
      node_id: Type.Integer(),
      node_uuid: Type.String(),
      status: Type.String(),
      storage_used_bytes: Type.Integer(),
      storage_quota_gb: Type.Number(),
      storage_used_gb: Type.Number(),
      last_backup: nullableText,
      schedule_frequency: Type.String(),
      schedule_time: nullableText,
      schedule_days: nullableText,
      retention_copies: Type.Integer(),
      next_run_at: nullableText,
    }),
  ),
  total: Type.Integer(),
})

export const BackupList = Type.Object({
  backups: Type.Array(
    Type.Object({
      id: Type.Integer(),
      site_id: Nullable(Type.Integer()),
      site_name: Type.String(),
      filename: Type.String(),
      size_bytes: Type.Integer(),
      size_gb: Type.Number(),
      s3_path: Type.String(),
      /** Without a zone, with microseconds: wire.md 4.5, item 6. */
      created_at: Type.String(),
      backup_type: Type.String(),
      status: Type.String(),
      storage_provider: nullableText,
    }),
  ),
  total: Type.Integer(),
})

export const Login = Type.Object({
  username: Type.String({maxLength: 256, description: 'user name or e-mail address'}),
  password: Type.String({maxLength: 256}),
})
export const LoginReply = Type.Object({access_token: Type.String(), token_type: Type.Literal('bearer')})

const percent = Type.Integer({minimum: 0, maximum: 100, description: 'an integer from 0 to 100'})
export const StatsReport = Type.Object({
  cpu_usage: percent,
  disk_usage: percent,
  active_backups: Type.Integer({minimum: 0, maximum: 1_000_000, description: 'an integer from 0 on'}),
})
export const StatsReply = Type.Object({status: Type.Literal('recorded'), node: Type.String()})

/** `token` is read where credentials are. */
export const StreamQuery = Type.Object({
  interval: Type.Optional(Type.Integer({minimum: 1, maximum: 60, description: 'seconds from 1 to 60'})),
})

export const StreamNode = Type.Object({
  id: Type.Integer(),
  hostname: Type.String(),
  status: Type.Enum(['online', 'stale', 'offline']),
  is_master: Type.Boolean(),
  cpu_percent: nullableNumber,
  memory_percent: nullableNumber,
  disk_percent: nullableNumber,
  uptime_seconds: nullableNumber,
  active_backups: Type.Integer(),
  last_seen: nullableText,
})
export const FleetEvent = Type.Object({timestamp: Type.String(), nodes: Type.Array(StreamNode)})
export const NodeEvent = Type.Object({
  timestamp: Type.String(),
  id: Type.Integer(),
  hostname: Type.String(),
  status: Type.Enum(['online', 'stale', 'offline']),
  is_master: Type.Boolean(),
})

/** RFC 3339 in whole seconds, as the statistics have it. */
export function seconds(time: string): string {
  return `${time.slice(0, 19)}Z`
}

/** With microseconds and without a zone, as the backups have it. */
export function naive(time: string): string {
  return time.replace('Z', '').padEnd(26, '0')
}
