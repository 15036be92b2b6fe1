import {spawn} from 'node:child_process'
import {setMaxListeners} from 'node:events'
import {rmSync} from 'node:fs'
import {mkdtemp, rm, symlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import {dockerdMissing, startDockerd} from '../support/docker.ts'
import {unmet} from '../support/skips.ts'
import {zfs} from '../support/zfs-daemon.ts'
import {raceFamilies} from './families-race.ts'
import {round, type Spread} from './figures.ts'
import {connectMachines} from './fleet.ts'
import {gracefulStops} from './graceful-stop.ts'
import {killLoop} from './kill-loop.ts'
import {raceForLastGpu} from './last-gpu.ts'
import {ServerProcess} from './server-process.ts'
import {type TaskKillResult, taskKillLoop} from './task-kill-loop.ts'
import {bucketPlace, folderPlace} from './task-trials/backup-places.ts'
import {backupTrial} from './task-trials/backups.ts'
import {imageTrial} from './task-trials/images.ts'
import {instanceTrial} from './task-trials/instances.ts'
import {labPrograms} from './task-trials/lab-programs.ts'
import {labMember, memberTrial} from './task-trials/members.ts'
import {mountTrial} from './task-trials/mounts.ts'
import {poolTrial} from './task-trials/pools.ts'
import {repairTrial} from './task-trials/repairs.ts'
import {siteTrial} from './task-trials/sites.ts'
import {templateTrial} from './task-trials/templates.ts'
import type {TaskTrial} from './task-trials/trial.ts'
import {laterProgram, upgradeTrial} from './task-trials/upgrades.ts'
import {vmTrial} from './task-trials/virtual-machines.ts'

/** What a run does, each changed by `name=number` on the command line; 0 leaves that part out. */
const amounts = {
  ...{
    kills: 200,
    stops: 100,
    rounds: 20,
    families: 1000,
    fuzz: 300,
    texts: 100_000,
    tasks: 5,
    taskMinutes: 600,
    sockets: 10_000,
    sessions: 200,
  },
  ...{clients: 16, nodes: 4},
}

let program = resolve('bin/run.js')
/** Of the tasks' trials those alone that have it in their names. */
let trial = ''
for (const argument of process.argv.slice(2)) {
  const [name = '', value = ''] = argument.split('=')
  if (name === 'program') {
    program = resolve(value)
    continue
  }
  if (name === 'trial') {
    trial = value
    continue
  }
  if (!(name in amounts) || !/^\d+$/.test(value)) {
    console.error(
      `Cannot read ${argument}. Give program=PATH, trial=TEXT or any of ${Object.keys(amounts).join('=N, ')}=N.`,
    )
    process.exit(2)
  }
  amounts[name as keyof typeof amounts] = Number(value)
}
const folder = await mkdtemp(join(tmpdir(), 'gpuctl-soak-'))
const interrupt = new AbortController()
const {signal} = interrupt
// Each server and each loop listens to it.
setMaxListeners(50, signal)
const giveUp = () => {
  interrupt.abort()
  rmSync(folder, {recursive: true, force: true})
  process.exit(130)
}
process.once('SIGINT', giveUp)
process.once('SIGTERM', giveUp)
try {
  const faults = [
    ...(await kill()),
    ...(await stop()),
    ...(await race()),
    ...(await families()),
    ...(await fuzz()),
    ...(await texts()),
    ...(await tasks()),
    ...(await crowds()),
  ]
  for (const fault of faults) console.log(`FAULT ${fault}`)
  console.log(faults.length === 0 ? 'No promise was broken.' : `${faults.length} promises were broken.`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await rm(folder, {recursive: true, force: true})
}

/** F1 */
async function kill(): Promise<string[]> {
  const {kills, clients, nodes} = amounts
  if (kills === 0) return []
  const since = performance.now()
  const result = await killLoop({
    program,
    data: join(folder, 'kill'),
    kills,
    clients,
    longestLifeMs: 700,
    machines: (server, until) => connectMachines({server, nodes, gpus: 8, beatMs: 1_000, signal: until}),
    signal,
    onProgress: text => process.stderr.write(`  … ${text}\n`),
  })
  const {fired, firedWhileStarting, counts, acknowledged, ready, loggedErrors, store} = result
  const seconds = (performance.now() - since) / 1000
  console.log(
    `kill -9 under load: fired=${fired} (and ${firedWhileStarting} while it started), ${round(seconds)} s, ${clients} clients, ${nodes} nodes × 8 GPUs`,
  )
  console.log(
    `  acknowledged ${acknowledged} claims, ${counts.cancels} cancels; ${counts.replays} replays, ${counts.refusedReplays} with another body; ${counts.unsure} calls without an answer, repeated`,
  )
  console.log(`  ready after ${spread(ready)}`)
  console.log(
    `  store: ${store.claims} claims (${Object.entries(store.byPhase)
      .map(([phase, count]) => `${count} ${phase}`)
      .join(', ')}), ${store.allocations} allocations, ${store.liveAllocations} live`,
  )
  console.log(`  errors in the log: ${loggedErrors.length}`)
  for (const line of loggedErrors.slice(0, 3)) console.log(`    ${line.slice(0, 300)}`)
  if (fired < kills) result.faults.push(`only ${fired} of ${kills} kills hit a serving server`)
  return summed('kill -9', result.faults)
}

/** F22 */
async function stop(): Promise<string[]> {
  const {stops, clients} = amounts
  if (stops === 0) return []
  const {fired, acknowledged, stop, faults} = await gracefulStops({
    program,
    data: join(folder, 'stop'),
    stops,
    clients,
    signal,
  })
  console.log(`SIGTERM under load: fired=${fired}, ${clients} clients, ${acknowledged} claims acknowledged`)
  console.log(`  ended after ${spread(stop)}`)
  return summed('SIGTERM', faults)
}

/** F13 */
async function race(): Promise<string[]> {
  const {rounds} = amounts
  if (rounds === 0) return []
  const server = await ServerProcess.start({program, data: join(folder, 'race'), signal})
  const over = new AbortController()
  try {
    const machine = await connectMachines({server, nodes: 1, gpus: 1, beatMs: 1_000, signal: over.signal})
    const race = raceForLastGpu({server, rounds, claimants: 100})
    const {bound, faults} = await Promise.race([race, machine.ended.then(() => race)])
    console.log(
      `100 claims at once for one GPU: ${bound.length} rounds, bound in each: ${[...new Set(bound)].join(', ')}`,
    )
    return summed('the race for the last GPU', faults)
  } finally {
    over.abort()
    await server.stop()
  }
}

/** W6.5-5, on SQLite, and on the database of SOAK_DATABASE_URL where one is named. */
async function families(): Promise<string[]> {
  const {families: rounds} = amounts
  if (rounds === 0) return []
  const faults = await familiesOn('SQLite', rounds, undefined)
  const database = process.env.SOAK_DATABASE_URL
  return database ? [...faults, ...(await familiesOn('PostgreSQL', rounds, database))] : faults
}

async function familiesOn(name: string, rounds: number, database: string | undefined): Promise<string[]> {
  const server = await ServerProcess.start({program, data: join(folder, `families-${name}`), database, signal})
  const over = new AbortController()
  try {
    const machine = await connectMachines({server, nodes: 1, gpus: 1, beatMs: 1_000, signal: over.signal})
    const race = raceFamilies({server, rounds})
    const {won, faults} = await Promise.race([race, machine.ended.then(() => race)])
    console.log(
      `documents 004 and 002 race for one GPU on ${name}: ${rounds} rounds, first was 004 ${won['gpu-claims']} times, 002 ${won.rental} times`,
    )
    if (rounds >= 100 && Math.min(won['gpu-claims'], won.rental) < rounds / 20) {
      faults.push(`it was no race: ${JSON.stringify(won)}`)
    }
    return summed(`the race of the families on ${name}`, faults)
  } finally {
    over.abort()
    await server.stop()
  }
}

function summed(what: string, faults: string[]): string[] {
  console.log(`  ${faults.length} faults\n`)
  return faults.map(fault => `${what}: ${fault}`)
}

function spread({p50, p99, max}: Spread): string {
  return `p50 ${round(p50)} ms, p99 ${round(p99)} ms, slowest ${round(max)} ms`
}

/** So many valid and so many broken inputs for each route of each family: the test in its full size. */
async function fuzz(): Promise<string[]> {
  if (amounts.fuzz === 0) return []
  const code = await runTests('test/dialects/fuzz.test.ts', {GPUCTL_FUZZ_RUNS: String(amounts.fuzz)})
  console.log(`generated inputs: ${amounts.fuzz} valid and ${amounts.fuzz} broken for each route`)
  return code === 0 ? [] : [`generated inputs: the run ended with ${code}`]
}

/** T27: so many texts through each format of the command line. */
async function texts(): Promise<string[]> {
  if (amounts.texts === 0) return []
  const code = await runTests('test/cli/output-layer.test.ts', {GPUCTL_OUTPUT_TEXTS: String(amounts.texts)})
  console.log(`texts from elsewhere: ${amounts.texts} through each format`)
  return code === 0 ? [] : [`texts from elsewhere: the run ended with ${code}`]
}

/** F18, M24: of root, on a machine with ZFS and btrfs. */
async function tasks(): Promise<string[]> {
  if (amounts.tasks === 0) return []
  const missing = unmet('root', 'zfs', 'btrfs')
  if (missing) {
    console.log(`kill -9 in the middle of tasks: left out, ${missing}\n`)
    return []
  }
  await zfs()
  const since = performance.now()
  const pools = (['zfs', 'btrfs', 'directory'] as const).map(poolTrial)
  // Side by side, each with a server and a machine of its own: nearly all of a kill's time is waiting.
  const places = [folderPlace(), ...(unmet('radosgw') ? [] : [bucketPlace()])]
  const backups = [...places.map(place => backupTrial('tar', place)), backupTrial('send', folderPlace()), vmTrial()]
  const ofEngine = (await dockerdMissing()) || unmet('busybox') ? [] : [imageTrial(), instanceTrial()]
  const all = [
    ...pools,
    siteTrial(),
    mountTrial(),
    templateTrial(),
    memberTrial(),
    repairTrial(),
    upgradeTrial(),
    ...backups,
    ...ofEngine,
  ]
  const results = await Promise.all(all.filter(({name}) => name.includes(trial)).map(trialLoop))
  const seconds = round((performance.now() - since) / 1000)
  const [fired, busy] = [sum(results.map(result => result.fired)), sum(results.map(result => result.busy))]
  console.log(`kill -9 and cancel in the middle of tasks: fired=${fired}, ${busy} found it busy, ${seconds} s`)
  for (const line of results.flatMap(({plan}) => plan.lines())) console.log(`  ${line}`)
  const unhit = results.flatMap(({plan}) => plan.unhit().map(what => `${what} was never hit`))
  const faults = [...results.flatMap(result => result.faults), ...unhit]
  return summed('kill -9 in the middle of tasks', faults)
}

async function trialLoop(trial: TaskTrial): Promise<TaskKillResult> {
  const {tasks: killsPerStep, taskMinutes} = amounts
  const at = await mkdtemp(join(folder, 'tasks-'))
  const lab = {agent: join(process.env.GPUCTL_BENCH_FOLDER ?? '', 'lab-agent.js'), folder: join(at, 'lab')}
  await labPrograms(lab.folder)
  const member = await labMember(lab.folder)
  const engine = trial.needsEngine ? await startDockerd({name: 'gpuctl-soak'}) : undefined
  if (engine) await symlink(engine.socketPath, join(lab.folder, 'docker.sock'))
  const longestMs = taskMinutes * 60_000
  const onProgress = (text: string) => process.stderr.write(`  … ${trial.name}: ${text}\n`)
  const parts = trial.needsUpgrade
    ? {program: laterProgram(program, join(at, 'later')), agentProgram: program}
    : {program, lab}
  const options = {...parts, signal, trials: [trial], killsPerStep, longestMs, data: at, onProgress}
  return taskKillLoop(options).finally(() => Promise.all([member.close(), engine?.stop()]))
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

/** T26: the tests of the jump host's crowds in their full size. 0 in either leaves both out. */
async function crowds(): Promise<string[]> {
  const {sockets, sessions} = amounts
  if (sockets === 0 || sessions === 0) return []
  const sizes = {GPUCTL_TEST_IDLE_SOCKETS: String(sockets), GPUCTL_TEST_SSH_SESSIONS: String(sessions)}
  const code = await runTests('test/e2e/ssh-crowds.test.ts', sizes)
  console.log(`the jump host: ${sockets} idle sockets, ${sessions} sessions at once`)
  return code === 0 ? [] : [`crowds at the jump host: the run ended with ${code}`]
}

function runTests(path: string, variables: NodeJS.ProcessEnv): Promise<unknown> {
  const env = {...process.env, ...variables}
  const child = spawn('node_modules/.bin/vitest', ['run', path], {env, stdio: 'inherit', signal})
  return new Promise(done => child.once('error', done).once('exit', done))
}
