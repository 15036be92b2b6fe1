/** Every operation and where it stands under `/gpuctl/v1`. The only file of the contract that the CLI loads at run time. */
export const routes = {
  'auth.login': 'POST /auth/login',
  'auth.logout': 'POST /auth/logout',
  'auth.whoami': 'GET /auth/whoami',
  'auth.streamTicket': 'POST /auth/stream-ticket',
  'auth.register': 'POST /auth/register',
  'auth.changePassword': 'POST /auth/password',

  'server.status': 'GET /status',
  'server.version': 'GET /version',

  'users.list': 'GET /users',
  'users.create': 'POST /users',
  'users.update': 'PATCH /users/:id',
  'users.delete': 'DELETE /users/:id',
  'users.nodes': 'GET /users/:id/nodes',
  'users.assign': 'PUT /users/:id/nodes/:node',
  'users.unassign': 'DELETE /users/:id/nodes/:node',
  'users.invite': 'POST /users/invitations',

  'quotas.list': 'GET /quotas',
  'quotas.get': 'GET /quota',
  'quotas.set': 'PUT /quota',
  'quotas.status': 'GET /quota/status',

  'settings.list': 'GET /settings',
  'settings.set': 'PUT /settings/:name',

  'tokens.list': 'GET /tokens',
  'tokens.create': 'POST /tokens',
  'tokens.revoke': 'DELETE /tokens/:id',

  'keys.list': 'GET /keys',
  'keys.create': 'POST /keys',
  'keys.delete': 'DELETE /keys/:id',

  'sessions.list': 'GET /sessions',
  'sessions.kill': 'DELETE /sessions/:id',

  'joinTokens.list': 'GET /join-tokens',
  'joinTokens.create': 'POST /join-tokens',
  'joinTokens.revoke': 'DELETE /join-tokens/:id',

  'nodes.join': 'POST /nodes/join',
  'nodes.joinStatus': 'GET /nodes/join/:code',
  'nodes.beat': 'POST /nodes/beat',
  'nodes.list': 'GET /nodes',
  'nodes.get': 'GET /nodes/:id',
  'nodes.metrics': 'GET /nodes/:id/metrics',
  'nodes.approve': 'POST /nodes/approve',
  'nodes.reject': 'POST /nodes/reject',
  'nodes.add': 'POST /nodes',
  'nodes.update': 'PATCH /nodes/:id',
  'nodes.test': 'POST /nodes/:id/test',
  'nodes.cordon': 'POST /nodes/:id/cordon',
  'nodes.uncordon': 'POST /nodes/:id/uncordon',
  'nodes.block': 'POST /nodes/:id/block',
  'nodes.delete': 'DELETE /nodes/:id',
  'nodes.statsOfAll': 'GET /nodes/stats',
  'nodes.stats': 'GET /nodes/:id/stats',

  'nodes.quota': 'GET /nodes/:id/quota',
  'nodes.setQuota': 'PUT /nodes/:id/quota',
  'nodes.quotaStatus': 'GET /nodes/:id/quota/status',

  'sites.list': 'GET /sites',
  'sites.get': 'GET /sites/:id',
  'sites.create': 'POST /sites',
  'sites.delete': 'DELETE /sites/:id',
  'sites.setQuota': 'PUT /sites/:id/quota',
  'sites.snapshots': 'GET /sites/:id/snapshots',
  'sites.snapshot': 'POST /sites/:id/snapshots',
  'sites.deleteSnapshot': 'DELETE /sites/:id/snapshots/:snapshot',
  'sites.restore': 'POST /sites/:id/snapshots/:snapshot/restore',
  'sites.clone': 'POST /sites/:id/snapshots/:snapshot/clone',
  'sites.setSchedule': 'PUT /sites/:id/schedule',
  'sites.checkQuota': 'GET /sites/:id/quota/check',
  'sites.report': 'POST /sites/report',

  'backups.list': 'GET /backups',
  'backups.get': 'GET /backups/:id',
  'backups.report': 'POST /backups/report',

  'runtimes.list': 'GET /runtimes',
  'runtimes.get': 'GET /runtimes/:id',
  'runtimes.approve': 'POST /runtimes/:id/approve',
  'runtimes.delete': 'DELETE /runtimes/:id',

  'gpus.list': 'GET /gpus',

  'claims.submit': 'POST /claims',
  'claims.list': 'GET /claims',
  'claims.get': 'GET /claims/:id',
  'claims.explain': 'GET /claims/:id/explanation',
  'claims.explainSpec': 'POST /claims/explanation',
  'claims.cancel': 'POST /claims/:id/cancel',

  'instances.list': 'GET /instances',
  'instances.get': 'GET /instances/:id',
  'instances.create': 'POST /instances',
  'instances.match': 'GET /instances/match',
  'instances.start': 'POST /instances/:id/start',
  'instances.stop': 'POST /instances/:id/stop',
  'instances.restart': 'POST /instances/:id/restart',
  'instances.delete': 'DELETE /instances/:id',
  'instances.logs': 'GET /instances/:id/logs',
  'instances.followLogs': 'GET /instances/:id/logs/events',
  'instances.stats': 'GET /instances/:id/stats',
  'instances.exec': 'GET /instances/:id/exec',
  'ssh.tunnel': 'GET /ssh/tunnel',
  'instances.terminal': 'GET /instances/:id/terminal',
  'instances.forward': 'GET /instances/:id/forward',
  'instances.statPath': 'GET /instances/:id/path',
  'instances.archive': 'GET /instances/:id/archive',
  'instances.unpack': 'GET /instances/:id/unpack',

  'models.list': 'GET /models',
  'models.get': 'GET /models/:id',

  'images.list': 'GET /images',
  'images.get': 'GET /images/:id',
  'images.create': 'POST /images',
  'images.update': 'PATCH /images/:id',
  'images.delete': 'DELETE /images/:id',

  'specs.list': 'GET /specs',
  'specs.get': 'GET /specs/:id',
  'specs.create': 'POST /specs',
  'specs.update': 'PATCH /specs/:id',
  'specs.delete': 'DELETE /specs/:id',

  'devices.list': 'GET /storage/devices',
  'pools.list': 'GET /storage/pools',
  'pools.get': 'GET /storage/pools/:id',
  'pools.create': 'POST /storage/pools',
  'pools.delete': 'DELETE /storage/pools/:id',
  'pools.share': 'POST /storage/pools/:id/share',
  'pools.unshare': 'POST /storage/pools/:id/unshare',
  'mounts.list': 'GET /storage/mounts',
  'mounts.create': 'POST /storage/mounts',
  'mounts.delete': 'DELETE /storage/mounts/:id',

  'members.add': 'POST /cluster-members',

  'osImages.list': 'GET /os-images',
  'osImages.upload': 'PUT /os-images/:file',
  'osImages.delete': 'DELETE /os-images/:file',
  'osImages.template': 'POST /os-images/:file/template',

  'tasks.list': 'GET /tasks',
  'tasks.get': 'GET /tasks/:id',
  'tasks.logs': 'GET /tasks/:id/logs',
  'tasks.cancel': 'POST /tasks/:id/cancel',
  'tasks.follow': 'GET /tasks/:id/events',

  'events.list': 'GET /events',
  'events.stream': 'GET /events/stream',
} as const

export type OperationName = keyof typeof routes

/** Where the native API stands on the server. */
export const apiPrefix = '/gpuctl/v1'
