import type {InputOf, OutputOf} from '../contract/contract.ts'
import type {OperationName} from '../contract/routes.ts'
import type {Caller} from '../domain/caller.ts'
import type {Services} from '../domain/services/services.ts'
import type {Guest, NodeIdentity} from './auth.ts'
import type {BytesOperation} from './byte-routes.ts'
import type {EventOperation} from './event-routes.ts'
import type {SocketOperation} from './socket-routes.ts'
import type {UploadOperation} from './upload-routes.ts'

/** Operations that answer with one JSON body. */
export type JsonOperation = Exclude<OperationName, EventOperation | BytesOperation | SocketOperation | UploadOperation>

/** Who asks, by what the operation demands of him (`access` in the contract). */
type AskerOf<N extends JsonOperation> = N extends
  | 'auth.login'
  | 'auth.register'
  | 'auth.redeemLink'
  | 'server.version'
  | 'nodes.join'
  | 'nodes.joinStatus'
  ? Guest
  : N extends 'nodes.beat' | 'sites.report' | 'backups.report'
    ? NodeIdentity
    : Caller

type Handlers = {
  [N in JsonOperation]: (input: InputOf<N>, asker: AskerOf<N>, services: Services) => Promise<OutputOf<N>>
}

/** One line for each operation; a missing one does not compile. */
export const handlers: Handlers = {
  'auth.login': (input, peer, {auth}) => auth.login(input, peer),
  'auth.logout': (input, caller, {auth}) => auth.logout(input, caller),
  'auth.whoami': (input, caller, {auth}) => auth.whoami(input, caller),
  'auth.streamTicket': (input, caller, {auth}) => auth.streamTicket(input, caller),
  'auth.browserLink': (input, caller, {auth}) => auth.browserLink(input, caller),
  'auth.redeemLink': (input, peer, {auth}) => auth.redeemLink(input, peer),
  'auth.register': (input, peer, {auth}) => auth.register(input, peer),
  'auth.changePassword': (input, caller, {auth}) => auth.changePassword(input, caller),

  'server.status': (input, caller, {server}) => server.status(input, caller),
  'server.version': (_, __, {server}) => server.version(),

  'users.list': (input, caller, {users}) => users.list(input, caller),
  'users.create': (input, caller, {users}) => users.create(input, caller),
  'users.update': (input, caller, {users}) => users.update(input, caller),
  'users.delete': (input, caller, {users}) => users.delete(input, caller),
  'users.nodes': (input, caller, {users}) => users.nodes(input, caller),
  'users.assign': (input, caller, {users}) => users.assign(input, caller),
  'users.unassign': (input, caller, {users}) => users.unassign(input, caller),
  'users.invite': (input, caller, {users}) => users.invite(input, caller),

  'quotas.list': (input, caller, {quotas}) => quotas.list(input, caller),
  'quotas.get': (input, caller, {quotas}) => quotas.get(input, caller),
  'quotas.set': (input, caller, {quotas}) => quotas.set(input, caller),
  'quotas.status': (input, caller, {quotas}) => quotas.status(input, caller),

  'settings.list': (input, caller, {settings}) => settings.list(input, caller),
  'settings.set': (input, caller, {settings}) => settings.set(input, caller),

  'tokens.list': (input, caller, {tokens}) => tokens.list(input, caller),
  'tokens.create': (input, caller, {tokens}) => tokens.create(input, caller),
  'tokens.revoke': (input, caller, {tokens}) => tokens.revoke(input, caller),

  'keys.list': (input, caller, {keys}) => keys.list(input, caller),
  'keys.create': (input, caller, {keys}) => keys.create(input, caller),
  'keys.delete': (input, caller, {keys}) => keys.delete(input, caller),

  'sessions.list': (input, caller, {sessions}) => sessions.list(input, caller),
  'sessions.kill': (input, caller, {sessions}) => sessions.kill(input, caller),

  'joinTokens.list': (input, caller, {joinTokens}) => joinTokens.list(input, caller),
  'joinTokens.create': (input, caller, {joinTokens}) => joinTokens.create(input, caller),
  'joinTokens.revoke': (input, caller, {joinTokens}) => joinTokens.revoke(input, caller),

  'nodes.join': (input, peer, {nodes}) => nodes.join(input, peer),
  'nodes.joinStatus': ({code}, {joinSecret, ...peer}, {nodes}) =>
    nodes.joinStatus({code, pollSecret: joinSecret}, peer),
  'nodes.beat': (beat, node, {nodes}) => nodes.beat(node.id, beat).then(() => ({done: true})),
  'nodes.list': (input, caller, {nodes}) => nodes.list(input, caller),
  'nodes.get': (input, caller, {nodes}) => nodes.get(input, caller),
  'nodes.metrics': (input, caller, {nodes}) => nodes.metrics(input, caller),
  'nodes.approve': (input, caller, {nodes}) => nodes.approve(input, caller),
  'nodes.reject': (input, caller, {nodes}) => nodes.reject(input, caller),
  'nodes.add': (input, caller, {nodes}) => nodes.add(input, caller),
  'nodes.update': (input, caller, {nodes}) => nodes.update(input, caller),
  'nodes.test': (input, caller, {nodes}) => nodes.test(input, caller),
  'nodes.cordon': (input, caller, {nodes}) => nodes.cordon(input, caller),
  'nodes.upgrade': (input, caller, {nodes}) => nodes.upgrade(input, caller),
  'nodes.examine': (input, caller, {nodes}) => nodes.examine(input, caller),
  'nodes.repair': (input, caller, {nodes}) => nodes.repair(input, caller),
  'nodes.drain': (input, caller, {nodes}) => nodes.drain(input, caller),
  'nodes.uncordon': (input, caller, {nodes}) => nodes.uncordon(input, caller),
  'nodes.block': (input, caller, {nodes}) => nodes.block(input, caller),
  'nodes.delete': (input, caller, {nodes}) => nodes.delete(input, caller),

  'nodes.quota': (input, caller, {nodes}) => nodes.quota(input, caller),
  'nodes.setQuota': (input, caller, {nodes}) => nodes.setQuota(input, caller),
  'nodes.quotaStatus': (input, caller, {nodes}) => nodes.quotaStatus(input, caller),

  'sites.list': (input, caller, {sites}) => sites.list(input, caller),
  'sites.get': (input, caller, {sites}) => sites.get(input, caller),
  'sites.create': (input, caller, {sites}) => sites.create(input, caller),
  'sites.delete': (input, caller, {sites}) => sites.delete(input, caller),
  'sites.setQuota': (input, caller, {sites}) => sites.setQuota(input, caller),
  'sites.snapshots': (input, caller, {sites}) => sites.snapshots(input, caller),
  'sites.snapshot': (input, caller, {sites}) => sites.snapshot(input, caller),
  'sites.deleteSnapshot': (input, caller, {sites}) => sites.deleteSnapshot(input, caller),
  'sites.restore': (input, caller, {sites}) => sites.restore(input, caller),
  'sites.clone': (input, caller, {sites}) => sites.clone(input, caller),
  'sites.setSchedule': (input, caller, {sites}) => sites.setSchedule(input, caller),
  'sites.checkQuota': (input, caller, {sites}) => sites.checkQuota(input, caller),
  'sites.report': (input, node, {sites}) => sites.report(node.id, input),

  'backups.list': (input, caller, {backups}) => backups.list(input, caller),
  'backups.get': (input, caller, {backups}) => backups.get(input, caller),
  'backups.create': (input, caller, {backups}) => backups.create(input, caller),
  'backups.verify': (input, caller, {backups}) => backups.verify(input, caller),
  'backups.restore': (input, caller, {backups}) => backups.restore(input, caller),
  'backups.delete': (input, caller, {backups}) => backups.delete(input, caller),
  'applied.list': (input, caller, {applied}) => applied.list(input, caller),
  'backupTargets.list': (input, caller, {backupTargets}) => backupTargets.list(input, caller),
  'backupTargets.create': (input, caller, {backupTargets}) => backupTargets.create(input, caller),
  'backupTargets.delete': (input, caller, {backupTargets}) => backupTargets.delete(input, caller),
  'backups.report': (input, node, {backups}) => backups.report(node.id, input),

  'runtimes.list': (input, _, {runtimes}) => runtimes.list(input),
  'runtimes.get': (input, _, {runtimes}) => runtimes.get(input),
  'runtimes.approve': (input, caller, {runtimes}) => runtimes.approve(input, caller),
  'runtimes.delete': (input, caller, {runtimes}) => runtimes.delete(input, caller),

  'gpus.list': (input, caller, {gpus}) => gpus.list(input, caller),
  'gpus.disable': (input, caller, {gpus}) => gpus.disable(input, caller),
  'gpus.enable': (input, caller, {gpus}) => gpus.enable(input, caller),

  'claims.submit': (input, caller, {claims}) => claims.submit(input, caller),
  'claims.list': (input, caller, {claims}) => claims.list(input, caller),
  'claims.get': (input, caller, {claims}) => claims.get(input, caller),
  'claims.explain': (input, caller, {claims}) => claims.explain(input, caller),
  'claims.explainSpec': (input, caller, {claims}) => claims.explainSpec(input, caller),
  'claims.reprioritize': (input, caller, {claims}) => claims.reprioritize(input, caller),
  'claims.cancel': (input, caller, {claims}) => claims.cancel(input, caller),

  'instances.list': (input, caller, {instances}) => instances.list(input, caller),
  'instances.get': (input, caller, {instances}) => instances.get(input, caller),
  'instances.create': (input, caller, {instances}) => instances.create(input, caller),
  'instances.match': (input, caller, {instances}) => instances.match(input, caller),
  'instances.update': (input, caller, {instances}) => instances.update(input, caller),
  'instances.start': (input, caller, {instances}) => instances.start(input, caller),
  'instances.stop': (input, caller, {instances}) => instances.stop(input, caller),
  'instances.restart': (input, caller, {instances}) => instances.restart(input, caller),
  'instances.snapshots': (input, caller, {instances}) => instances.snapshots(input, caller),
  'instances.snapshot': (input, caller, {instances}) => instances.snapshot(input, caller),
  'instances.restore': (input, caller, {instances}) => instances.restore(input, caller),
  'instances.deleteSnapshot': (input, caller, {instances}) => instances.deleteSnapshot(input, caller),
  'instances.statPath': (input, caller, {instances}) => instances.statPath(input, caller),
  'instances.delete': (input, caller, {instances}) => instances.delete(input, caller),

  'models.list': (input, caller, {models}) => models.list(input, caller),
  'models.get': (input, caller, {models}) => models.get(input, caller),

  'images.list': (input, caller, {images}) => images.list(input, caller),
  'images.get': (input, caller, {images}) => images.get(input, caller),
  'images.create': (input, caller, {images}) => images.create(input, caller),
  'images.update': (input, caller, {images}) => images.update(input, caller),
  'images.pull': (input, caller, {images}) => images.pull(input, caller),
  'images.delete': (input, caller, {images}) => images.delete(input, caller),

  'specs.list': (input, caller, {specs}) => specs.list(input, caller),
  'specs.get': (input, caller, {specs}) => specs.get(input, caller),
  'specs.create': (input, caller, {specs}) => specs.create(input, caller),
  'specs.update': (input, caller, {specs}) => specs.update(input, caller),
  'specs.delete': (input, caller, {specs}) => specs.delete(input, caller),

  'devices.list': (input, caller, {devices}) => devices.list(input, caller),
  'pools.list': (input, caller, {pools}) => pools.list(input, caller),
  'pools.get': (input, caller, {pools}) => pools.get(input, caller),
  'pools.create': (input, caller, {pools}) => pools.create(input, caller),
  'pools.delete': (input, caller, {pools}) => pools.delete(input, caller),
  'pools.share': (input, caller, {pools}) => pools.share(input, caller),
  'pools.unshare': (input, caller, {pools}) => pools.unshare(input, caller),
  'mounts.list': (input, caller, {mounts}) => mounts.list(input, caller),
  'mounts.create': (input, caller, {mounts}) => mounts.create(input, caller),
  'mounts.delete': (input, caller, {mounts}) => mounts.delete(input, caller),

  'vmBackups.list': (input, caller, {vmBackups}) => vmBackups.list(input, caller),
  'vmBackups.create': (input, caller, {vmBackups}) => vmBackups.create(input, caller),
  'vmBackups.restore': (input, caller, {vmBackups}) => vmBackups.restore(input, caller),

  'members.add': (input, caller, {members}) => members.add(input, caller),

  'osImages.list': (input, caller, {osImages}) => osImages.list(input, caller),
  'osImages.delete': (input, caller, {osImages}) => osImages.delete(input, caller),
  'osImages.template': (input, caller, {osImages}) => osImages.template(input, caller),

  'tasks.list': (input, caller, {tasks}) => tasks.list(input, caller),
  'tasks.get': (input, caller, {tasks}) => tasks.get(input, caller),
  'tasks.logs': (input, caller, {tasks}) => tasks.logs(input, caller),
  'tasks.cancel': (input, caller, {tasks}) => tasks.cancel(input, caller),

  'usage.get': (input, caller, {usage}) => usage.get(input, caller),
  'audit.list': (input, caller, {audit}) => audit.list(input, caller),
  'audit.verify': (input, caller, {audit}) => audit.verify(input, caller),
  'events.list': (input, caller, {events}) => events.list(input, caller),
}
