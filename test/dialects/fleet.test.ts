import {describe, expect, test} from 'vitest'
import {bytesPerGb} from '../../src/domain/storage-quota.ts'
import {type FleetPlane, fleetPlane} from './fleet-plane.ts'

const gb = (count: number) => Math.round(count * bytesPerGb)

/** The answers of document 003, as they stand there. */
const document = {
  quotaStatus: {
    node_id: 1,
    hostname: 'wp.zimpricecheck.com',
    used_gb: 12.5,
    quota_gb: 100,
    usage_percent: 12.5,
    is_over_quota: false,
    sites_count: 3,
    sites_over_quota: 0,
    sites_warning: 1,
    sites_breakdown: [
      {
        ...{site_id: 1, site_name: 'example.com', used_gb: 5.2},
        ...{quota_gb: 15, usage_percent: 34.7, is_over_quota: false},
      },
      {
        ...{site_id: 2, site_name: 'blog.example.com', used_gb: 4.1},
        ...{quota_gb: 10, usage_percent: 41, is_over_quota: false},
      },
      {
        ...{site_id: 3, site_name: 'shop.example.com', used_gb: 3.2},
        ...{quota_gb: 4, usage_percent: 80, is_over_quota: false},
      },
    ],
  },
  quotaUpdate: {storage_quota_gb: 200},
  updated: {
    id: 1,
    hostname: 'wp.zimpricecheck.com',
    uuid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    status: 'active',
    storage_quota_gb: 200,
    storage_used_bytes: 0,
  },
  listed: [
    {
      id: 1,
      hostname: 'wp.zimpricecheck.com',
      status: 'active',
      storage_quota_gb: 100,
      stats: [{cpu_usage: 15, disk_usage: 45, active_backups: 0}],
    },
  ],
  detail: {
    id: 1,
    hostname: 'wp.zimpricecheck.com',
    ip_address: '127.0.0.1',
    status: 'active',
    storage_quota_gb: 100,
    total_available_gb: 500,
    storage_used_gb: 12.5,
    sites_count: 3,
    backups_count: 15,
    stats: [{cpu_usage: 12, disk_usage: 42, active_backups: 1}],
  },
  backups: {
    backups: [
      {
        id: 1,
        site_id: 1,
        site_name: 'example.com',
        filename: 'example.com_20251227_082133.tar.zst',
        size_bytes: 3612358215,
        size_gb: 3.36,
        s3_path: 's3://bucket/example.com_20251227_082133.tar.zst',
        created_at: '2025-12-27T08:22:04.588990',
        backup_type: 'full',
        status: 'SUCCESS',
        storage_provider: 'iDrive E2 Shared',
      },
    ],
    total: 1,
  },
}

const documentSites = [
  {name: 'example.com', usedBytes: gb(5.2), quotaGb: 15},
  {name: 'blog.example.com', usedBytes: gb(4.1), quotaGb: 10},
  {name: 'shop.example.com', usedBytes: gb(3.2), quotaGb: 4},
]
const documentBackup = {
  site: 'example.com',
  filename: 'example.com_20251227_082133.tar.zst',
  sizeBytes: 3612358215,
  path: 's3://bucket/example.com_20251227_082133.tar.zst',
  type: 'full',
  status: 'SUCCESS',
  provider: 'iDrive E2 Shared',
  takenAt: '2025-12-27T08:22:04.588990Z',
}

/** Node 1 of the document with its three sites, quota and size. */
async function documentNode(plane: FleetPlane) {
  const node = await plane.scriptedNode('wp.zimpricecheck.com')
  const admin = {token: plane.adminToken}
  const quota = {id: String(node.id), storageQuotaGb: 100, totalAvailableGb: 500}
  await plane.server.ok('nodes.setQuota', quota, admin)
  const sites = documentSites.map(({name, usedBytes}) => ({name, usedBytes}))
  await plane.server.ok('sites.report', {sites}, {token: node.key})
  for (const {name, quotaGb} of documentSites) {
    await plane.server.ok('sites.setQuota', {id: name, quotaBytes: gb(quotaGb)}, admin)
  }
  return node
}

describe('nodes of document 003', () => {
  test('W4.1-6 W4.1-7 W4.3: the list shows one sample, the detail those of the last ten minutes', async () => {
    const plane = await fleetPlane()
    const node = await documentNode(plane)
    await node.report({cpu_usage: 15, disk_usage: 45, active_backups: 0})
    expect(await plane.ok('GET', '/nodes/')).toMatchObject(document.listed)

    await node.report({cpu_usage: 12, disk_usage: 42, active_backups: 1})
    for (let count = 0; count < 15; count++) {
      const told = {...documentBackup, filename: `${count}.tar.zst`}
      await plane.server.ok('backups.report', told, {token: node.key})
    }

    const detail = await plane.ok('GET', `/nodes/${node.id}`)
    expect(detail).toMatchObject({...document.detail, stats: expect.any(Array)})
    expect(detail.stats[0]).toEqual({
      ...document.detail.stats[0],
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    })
    expect(await plane.ok('GET', `/nodes/${detail.uuid.toUpperCase()}/`)).toEqual(detail)
    expect((await plane.ok('GET', '/nodes'))[0].stats).toEqual(detail.stats.slice(0, 1))
  })

  test('W4.1-6: the list is cut by skip and limit, and shows waiting nodes with their codes to super administrators', async () => {
    const plane = await fleetPlane()
    for (const name of ['a', 'b', 'c']) await plane.scriptedNode(name)
    const asked = (await plane.call('POST', '/nodes/join-request', {body: {hostname: 'waits'}})).json
    const {password} = await plane.user('ann')
    const {access_token: token} = (await plane.login('ann', password)).json

    const names = async (query: string) =>
      (await plane.ok('GET', `/nodes/${query}`)).map(({hostname}: {hostname: string}) => hostname)
    expect(await names('')).toEqual(['a', 'b', 'c', 'waits'])
    expect(await names('?skip=1&limit=2')).toEqual(['b', 'c'])
    expect((await plane.ok('GET', '/nodes/?skip=3'))[0]).toMatchObject({
      ...{status: 'pending', registration_code: asked.registration_code},
    })
    expect((await plane.call('GET', '/nodes/', {token})).json).toEqual([])
    for (const query of ['skip=-1', 'limit=0', 'limit=x']) {
      const reply = await plane.asAdmin('GET', `/nodes/?${query}`)
      expect([query, reply.status, reply.json.detail[0].loc]).toEqual([query, 422, ['query', query.split('=')[0]]])
    }
  })

  test('W4.1-7 T18 R6: a node_admin sees his nodes alone; others are 403, absent ones 404', async () => {
    const plane = await fleetPlane()
    const [own, foreign] = [await plane.scriptedNode('own'), await plane.scriptedNode('foreign')]
    const {password} = await plane.user('ops', {role: 'node_admin'})
    const {access_token: token} = (await plane.login('ops', password)).json
    await plane.server.ok('users.assign', {id: 'ops', node: String(own.id)}, {token: plane.adminToken})

    const asked = (await plane.call('GET', '/nodes/', {token})).json
    expect(asked.map(({id}: {id: number}) => id)).toEqual([own.id])
    for (const path of ['', '/quota/status', '/sites', '/backups']) {
      const status = async (id: number) => (await plane.call('GET', `/nodes/${id}${path}`, {token})).status
      expect([path, await status(own.id), await status(foreign.id), await status(4711)]).toEqual([path, 200, 403, 404])
    }
    const denied = await plane.call('GET', `/nodes/${foreign.id}`, {token})
    expect(denied.json).toEqual({detail: 'Node not assigned to you'})
    const update = await plane.call('PUT', `/nodes/${own.id}/quota`, {token, body: document.quotaUpdate})
    expect([update.status, update.json]).toEqual([403, {detail: "The user doesn't have enough privileges"}])
    const user = await plane.user('ann')
    const ann = (await plane.login('ann', user.password)).json.access_token
    expect((await plane.call('GET', `/nodes/${own.id}`, {token: ann})).status).toBe(403)
  })

  test('W4.1-8: the quota is set as in the document; more than there is, is refused', async () => {
    const plane = await fleetPlane()
    const {id} = await plane.scriptedNode('wp.zimpricecheck.com')

    expect(await plane.ok('PUT', `/nodes/${id}/quota`, {body: document.quotaUpdate})).toMatchObject(document.updated)
    const tooMuch = await plane.asAdmin('PUT', `/nodes/${id}/quota`, {body: {storage_quota_gb: 1001}})
    expect([tooMuch.status, tooMuch.json]).toEqual([400, {detail: expect.stringContaining('1000 GB')}])
    for (const storage_quota_gb of [-1, 1.5, '200', null]) {
      const reply = await plane.asAdmin('PUT', `/nodes/${id}/quota`, {body: {storage_quota_gb}})
      expect([storage_quota_gb, reply.status]).toEqual([storage_quota_gb, 422])
    }
    expect((await plane.asAdmin('PUT', '/nodes/4711/quota', {body: document.quotaUpdate})).status).toBe(404)
    expect((await plane.ok('PUT', `/nodes/${id}/quota`, {body: {storage_quota_gb: 0}})).storage_quota_gb).toBe(0)
  })

  test('W4.1-9 W4.4 W6.5-16: the quota status is that of the document, to the digit', async () => {
    const plane = await fleetPlane()
    const {id} = await documentNode(plane)

    const status = await plane.ok('GET', `/nodes/${id}/quota/status`)

    expect(status).toEqual(document.quotaStatus)
    expect(Object.keys(status)).toEqual(Object.keys(document.quotaStatus))
  })

  test('W4.4: a quota of 0 is over as soon as anything is used, and 0 percent', async () => {
    const plane = await fleetPlane()
    const node = await plane.scriptedNode('a')
    const look = () => plane.ok('GET', `/nodes/${node.id}/quota/status`)
    expect(await look()).toMatchObject({quota_gb: 0, usage_percent: 0, is_over_quota: false, sites_breakdown: []})

    await plane.server.ok('sites.report', {sites: [{name: 's', usedBytes: 1}]}, {token: node.key})
    expect(await look()).toMatchObject({quota_gb: 0, usage_percent: 0, is_over_quota: true})
  })

  test('W4.1-10 W4.5-4: sites are listed with their use, their quota and when they are backed up', async () => {
    const plane = await fleetPlane()
    const node = await documentNode(plane)
    await plane.server.ok('backups.report', documentBackup, {token: node.key})

    const found = await plane.ok('GET', `/nodes/${node.id}/sites?limit=1`)

    const {uuid} = (await plane.ok('GET', '/nodes/'))[0]
    expect(found).toEqual({
      sites: [
        {
          ...{id: 1, uuid: expect.any(String), name: 'example.com', wp_path: null, db_name: null},
          ...{node_id: node.id, node_uuid: uuid, status: 'active', storage_used_bytes: gb(5.2)},
          ...{storage_quota_gb: 15, storage_used_gb: 5.2, last_backup: '2025-12-27T08:22:04.588990'},
          ...{schedule_frequency: 'manual', schedule_time: null, schedule_days: null},
          ...{retention_copies: 10, next_run_at: null},
        },
      ],
      total: 3,
    })
    const names = ({sites}: {sites: {name: string}[]}) => sites.map(({name}) => name)
    expect(names(await plane.ok('GET', `/nodes/${node.id}/sites/?skip=1`))).toEqual([
      'blog.example.com',
      'shop.example.com',
    ])
  })

  test('W4.1-11 W4.4 W4.5-5 W4.5-6: backups are those of the document, the newest first, by site', async () => {
    const plane = await fleetPlane()
    const node = await documentNode(plane)
    await plane.server.ok('backups.report', documentBackup, {token: node.key})
    expect(await plane.ok('GET', `/nodes/${node.id}/backups`)).toEqual(document.backups)

    const older = {...documentBackup, filename: 'older.tar.zst', takenAt: '2025-12-26T00:00:00Z'}
    await plane.server.ok('backups.report', older, {token: node.key})
    const newer = {...documentBackup, site: 'shop.example.com', filename: 'newer.tar.zst', provider: null}
    const failed = {type: 'incremental', status: 'ERROR', takenAt: '2025-12-28T00:00:00Z'}
    await plane.server.ok('backups.report', {...newer, ...failed}, {token: node.key})

    const {backups, total} = await plane.ok('GET', `/nodes/${node.id}/backups?limit=2`)
    expect(total).toBe(3)
    expect(backups[0]).toMatchObject({
      ...{filename: 'newer.tar.zst', site_id: 3, backup_type: 'incremental', status: 'ERROR', storage_provider: null},
      created_at: '2025-12-28T00:00:00.000000',
    })
    expect(backups[1]).toEqual(document.backups.backups[0])
    expect(await plane.ok('GET', `/nodes/${node.id}/backups?site_id=1&skip=1`)).toMatchObject({
      ...{backups: [{filename: 'older.tar.zst', created_at: '2025-12-26T00:00:00.000000'}], total: 2},
    })
    const other = await plane.scriptedNode('other')
    for (const query of ['site_id=4711', 'site_id=1']) {
      const reply = await plane.asAdmin('GET', `/nodes/${other.id}/backups?${query}`)
      expect([reply.status, reply.json]).toEqual([400, {detail: 'Site not on this node'}])
    }
  })
})

describe('coming in and saying no', () => {
  test('W4.1-15: the login gives a bearer token of 30 minutes, five times a minute', async () => {
    const plane = await fleetPlane()
    const {password} = await plane.user('ann@example.com')

    const wrong = await plane.login('ann@example.com', 'wrong', '127.0.0.5')
    expect([wrong.status, wrong.json]).toEqual([400, {detail: 'Invalid credentials'}])
    const right = await plane.login('ann@example.com', password, '127.0.0.5')
    expect([right.status, right.json]).toEqual([200, {access_token: expect.any(String), token_type: 'bearer'}])
    const [head, claims] = right.json.access_token
      .split('.')
      .slice(0, 2)
      .map((part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    expect(head.alg).toBe('HS256')
    expect(claims).toMatchObject({sub: 'ann@example.com', exp: claims.iat + 1800})

    for (let count = 2; count < 5; count++) {
      expect((await plane.login('ann@example.com', password, '127.0.0.5')).status).toBe(200)
    }
    const sixth = await plane.login('ann@example.com', password, '127.0.0.5')
    expect([sixth.status, sixth.json, sixth.headers['retry-after']]).toEqual([429, {detail: expect.any(String)}, '60'])
    expect((await plane.login('ann@example.com', password, '127.0.0.6')).status).toBe(200)
  })

  test('W4.1-14: a node reports with its key; without one, or with that of nobody, it is refused', async () => {
    const plane = await fleetPlane()
    const node = await plane.scriptedNode('a')
    const body = {cpu_usage: 12, disk_usage: 42, active_backups: 1}

    const recorded = await node.report(body)
    expect([recorded.status, recorded.json]).toEqual([200, {status: 'recorded', node: 'a'}])
    const report = (headers: Record<string, string>) => plane.call('POST', '/stats', {body, headers})
    expect([(await report({})).status, (await report({})).json]).toEqual([403, {detail: 'Not authenticated'}])
    for (const key of ['gpn_nobody', plane.adminToken, 'sk_user']) {
      const reply = await report({'x-api-key': key})
      expect([reply.status, reply.json]).toEqual([403, {detail: 'Invalid API key'}])
    }
    for (const wrong of [{...body, cpu_usage: 101}, {...body, disk_usage: -1}, {...body, active_backups: 0.5}, {}]) {
      expect((await node.report(wrong)).status).toBe(422)
    }
  })

  test('W4 W6.1-9: 401, 404, 405 and what cannot be read are said in the family’s envelope', async () => {
    const {call, asAdmin, adminToken: token} = await fleetPlane()
    const said = async (method: string, path: string, rest = {}) => {
      const {status, json} = await call(method, path, rest)
      return [status, json]
    }
    expect(await said('GET', '/nodes/')).toEqual([401, {detail: 'Not authenticated'}])
    expect(await said('GET', '/nodes/', {token: 'x'})).toEqual([401, {detail: 'Could not validate credentials'}])
    expect(await said('GET', '/nodes/1/nothing', {token})).toEqual([404, {detail: 'Not Found'}])
    expect(await said('GET', '/sites', {token})).toEqual([404, {detail: 'Not Found'}])
    expect(await said('PATCH', '/nodes/', {token})).toEqual([405, {detail: 'Method Not Allowed'}])
    const broken = await call('POST', '/auth/login', {raw: '{"username"'})
    expect([broken.status, broken.json.detail[0]]).toEqual([
      422,
      {loc: ['body'], msg: expect.any(String), type: 'json_invalid'},
    ])
    const xml = await call('POST', '/auth/login', {raw: '<a/>', headers: {'content-type': 'text/xml'}})
    expect([xml.status, xml.json]).toEqual([415, {detail: expect.any(String)}])
    expect((await asAdmin('GET', '/nodes/')).headers['content-type']).toContain('application/json')
  })
})
