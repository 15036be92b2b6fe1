import {LoginGuard} from '../login-guard.ts'
import {AccountService} from './accounts.ts'
import {appliedMethods} from './applied.ts'
import {auditMethods, pruneAudit} from './audit.ts'
import {AuthService} from './auth.ts'
import {BackupRecords} from './backup-records.ts'
import {BackupTargetService} from './backup-targets.ts'
import {BackupService} from './backups.ts'
import {BrowserLinkService} from './browser-links.ts'
import {imageMethods, specMethods} from './catalogue.ts'
import {ClaimService} from './claims.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {EventService} from './events.ts'
import {serverMethods} from './fleet.ts'
import {gpuMethods} from './gpus.ts'
import {pullImages} from './image-pulls.ts'
import {InstanceService} from './instances.ts'
import {KeyService} from './keys.ts'
import {addClusterMember} from './members.ts'
import {modelMethods} from './models.ts'
import {MountService} from './mounts.ts'
import {nodeRepairs} from './node-repairs.ts'
import {nodeUpgrades} from './node-upgrades.ts'
import {NodeService} from './nodes.ts'
import {OsImageService} from './os-images.ts'
import {PoolService} from './pools.ts'
import {QuotaService} from './quotas.ts'
import {RuntimeService} from './runtimes.ts'
import type {Services} from './services.ts'
import {SessionService} from './sessions.ts'
import {settingMethods} from './settings.ts'
import {SiteFinder} from './site-finder.ts'
import {siteBinder} from './site-mounts.ts'
import {SiteService} from './sites.ts'
import {TaskService} from './tasks.ts'
import {JoinTokenService, TokenService} from './tokens.ts'
import {usageMethods} from './usage.ts'
import {UserService} from './users.ts'
import {VmBackupService} from './vm-backups.ts'

const eventsKept = 100_000
const keysKeptMs = 24 * 60 * 60_000
const tasksKeptMs = 30 * 24 * 60 * 60_000
const pruneEveryMs = 10 * 60_000

/** All services over one store. Call `server.maintain()` about once a second, and once more before the end. */
export function createServices(deps: ServiceDependencies): Services {
  const {store, clock} = deps
  const nodes = new NodeService(deps)
  const sessions = new SessionService(deps).methods()
  const finder = new SiteFinder(deps, nodes.keeping)
  const claims = new ClaimService(deps, {
    findNode: (reference, caller) => nodes.find(reference, caller),
    nameOfNode: id => nodes.nameOf(id),
    bindSites: siteBinder(deps, finder),
  })
  const nodeMethods = nodes.methods()
  const runtimes = new RuntimeService(deps, nodeMethods)
  const tasks = new TaskService(deps)
  const pools = new PoolService(deps, {keeping: nodes.keeping, tasks})
  const sites = new SiteService(deps, {keeping: nodes.keeping, finder, tasks, pools})
  const targets = new BackupTargetService(deps)
  const backupRecords = new BackupRecords(deps, {keeping: nodes.keeping, finder})
  const backups = new BackupService(deps, {
    keeping: nodes.keeping,
    finder,
    records: backupRecords,
    tasks,
    pools,
    targets,
  })
  const guard = new LoginGuard(deps)
  const auth = new AuthService(deps, guard)
  const users = new UserService(deps, nodes.keeping)
  const runtimeMethods = runtimes.methods()
  let prunedAtMs = clock.now()

  async function maintain(): Promise<void> {
    await nodes.maintain()
    await runtimes.maintain()
    if (clock.now() - prunedAtMs < pruneEveryMs) return
    prunedAtMs = clock.now()
    await store.events.prune(eventsKept)
    await store.tasks.prune(new Date(clock.now() - tasksKeptMs).toISOString())
    await store.idempotency.prune(new Date(clock.now() - keysKeptMs).toISOString())
    await pruneAudit(deps)
  }

  return {
    auth: {
      ...auth.methods(),
      ...new AccountService(deps, {guard, auth}).methods(),
      ...new BrowserLinkService(deps, auth).methods(),
    },
    users: users.methods(),
    quotas: new QuotaService(deps, users).methods(),
    usage: usageMethods(deps),
    settings: settingMethods(deps),
    audit: auditMethods(deps),
    tokens: new TokenService(deps).methods(),
    joinTokens: new JoinTokenService(deps).methods(),
    nodes: {
      ...nodeMethods,
      ...nodeRepairs(deps, {keeping: nodes.keeping, tasks}),
      upgrade: nodeUpgrades(deps, {find: (reference, caller) => nodes.find(reference, caller), tasks}),
    },
    keys: new KeyService(deps).methods(),
    sessions,
    runtimes: runtimeMethods,
    models: modelMethods(runtimeMethods),
    gpus: gpuMethods(deps, nodes.keeping),
    claims: claims.methods(),
    instances: new InstanceService(deps, {claims, sessions, tasks}).methods(),
    images: {
      ...imageMethods(deps),
      pull: (input, caller) => pullImages(deps, {keeping: nodes.keeping, tasks}, input, caller),
    },
    specs: specMethods(deps),
    sites: sites.methods(),
    backups: {...backupRecords.methods(), ...backups.methods()},
    vmBackups: new VmBackupService(deps, {keeping: nodes.keeping, tasks}).methods(),
    applied: appliedMethods(deps),
    backupTargets: targets.methods(),
    pools: pools.poolMethods(),
    devices: pools.deviceMethods(),
    mounts: new MountService(deps, {keeping: nodes.keeping, tasks, pools}).methods(),
    members: {add: (input, caller) => addClusterMember(deps, tasks, input, caller)},
    osImages: new OsImageService(deps, {keeping: nodes.keeping, tasks}).methods(),
    tasks: tasks.methods(),
    events: new EventService(deps).methods(),
    server: serverMethods(deps, maintain),
  }
}
