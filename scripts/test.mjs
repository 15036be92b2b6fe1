/**
 * `npm test`: on Debian as root installs and starts by itself what the tests need; then build, Biome, tsc, knip, and all
 * tests. Two stages run beside the others: the one with a machine of its own, and the files that mostly wait for storage.
 * The last line is `N passed, N failed, N skipped`; a check that fails counts as one failed.
 *
 * `npm test -- test/unit/x.test.ts` builds and runs vitest with these arguments, nothing else.
 */
import {spawn} from 'node:child_process'
import {closeSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {installMissing, startDocker, startZfs} from './setup-machine.mjs'

/** Files that wait for pools, mounts and kills for most of their time: one after the other, beside those that need a processor. */
const waiting = [
  'test/conformance/backup-reach.test.ts',
  'test/conformance/backups.test.ts',
  'test/conformance/site-backups.test.ts',
  'test/conformance/storage.test.ts',
  'test/dialects/infra.test.ts',
  'test/e2e/backup-kills.test.ts',
  'test/e2e/site-volumes.test.ts',
  'test/e2e/storage-chain.test.ts',
  'test/e2e/storage-pools.test.ts',
  'test/e2e/task-kills.test.ts',
  'test/unit/domain/site-mounts.test.ts',
  'test/unit/domain/site-schedules.test.ts',
  'test/unit/domain/site-snapshots.test.ts',
  'test/unit/domain/site-volumes.test.ts',
]

let isInterrupted = false
process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'))
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`
const asked = process.argv.slice(2)
process.exitCode = asked.length > 0 ? await runSome(asked) : await runAll()

async function runSome(files) {
  return (await run('node', 'scripts/build.mjs')) || (await run('node_modules/.bin/vitest', 'run', ...files))
}

async function runAll() {
  const missing = installMissing()
  const stopDocker = await startDocker()
  const stopZfs = await startZfs()
  warnOfSkips(missing, stopDocker !== undefined)
  const folder = mkdtempSync(join(tmpdir(), 'gpuctl-test-'))
  let failedChecks = await failuresOf('build', 'node', 'scripts/build.mjs')
  const stages = [
    beginStage(folder, 'tests in a machine of its own', ['--project', 'vm'], {GPUCTL_VM_STAGE: '1'}),
    beginStage(folder, 'tests that wait for storage', [...waiting, '--maxWorkers=1']),
  ]
  let counts = []
  try {
    failedChecks += await failuresOf('lint', 'node_modules/.bin/biome', 'check', '--error-on-warnings')
    failedChecks += await failuresOf('types', 'node_modules/.bin/tsc', '--noEmit')
    failedChecks += await failuresOf('unused code', 'node_modules/.bin/knip', '--no-progress')
    console.log('\n— tests')
    const others = waiting.flatMap(file => ['--exclude', file])
    counts = [await runTests(['run', ...others], {countFile: join(folder, 'count.json')})]
  } finally {
    for (const {name, log, ended} of stages) {
      counts.push(await ended)
      console.log(`\n— ${name}\n${readFileSync(log, 'utf8')}`)
    }
    await stopZfs()
    await stopDocker?.()
    rmSync(folder, {recursive: true})
  }
  const sum = how => counts.reduce((all, count) => all + count[how], 0)
  console.log(`${sum('passed')} passed, ${sum('failed') + failedChecks} failed, ${sum('skipped')} skipped`)
  return counts.every(({ok}) => ok) && failedChecks === 0 ? 0 : 1
}

/** 0 or 1. */
async function failuresOf(what, ...command) {
  console.log(`\n— ${what}`)
  if ((await run(...command)) === 0) return 0
  console.log(`FAILED ${what}: ${command.join(' ')}`)
  return 1
}

/** Beside the others; what it says is kept until they have ended. */
function beginStage(folder, name, args, variables = {}) {
  const log = join(folder, `${name}.log`)
  const out = openSync(log, 'w')
  const env = {...process.env, ...variables}
  const ended = runTests(['run', ...args], {countFile: join(folder, `${name}.json`), env, out})
  closeSync(out)
  return {name, log, ended}
}

/** The reporter writes its count to a file, so that it can be the last line, below what is printed at the end. */
async function runTests(args, {countFile, env = process.env, out = 'inherit'}) {
  const options = {env: {...env, GPUCTL_TEST_COUNT_FILE: countFile}, stdio: ['inherit', out, out]}
  const status = await runWith(options, 'node_modules/.bin/vitest', ...args)
  const count = readCount(countFile)
  if (!count) return {passed: 0, failed: 1, skipped: 0, ok: false}
  const ok = status === 0 && count.failed === 0
  // vitest also fails for reasons that are no test's: never "0 failed" with an exit code of 1, but for refused skips.
  const failed = ok || count.failed > 0 || count.refusedSkips > 0 ? count.failed : 1
  return {...count, failed, ok}
}

function readCount(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function warnOfSkips(missing, dockerRuns) {
  const lines = []
  if (missing.length > 0) lines.push(`not installed: ${missing.join(', ')}`)
  if (!dockerRuns) lines.push('no Docker Engine answers, and none could be started')
  if (lines.length === 0) return
  console.log(`\n*** Some tests will be SKIPPED here: ${lines.join('; ')}.`)
  console.log(
    '*** On Debian as root, `npm test` installs and starts these by itself. Each skip is listed at the end.\n',
  )
}

/** Passes an interrupt on to the child and waits for it, so that what was started is ended in every case. */
function run(command, ...args) {
  return runWith({stdio: 'inherit'}, command, ...args)
}

async function runWith(options, command, ...args) {
  if (isInterrupted) return 130
  return new Promise(resolve => {
    const child = spawn(command, args, options)
    const pass = signal => {
      isInterrupted = true
      child.kill(signal)
    }
    process.on('SIGINT', pass).on('SIGTERM', pass)
    const done = status => {
      process.off('SIGINT', pass).off('SIGTERM', pass)
      resolve(status)
    }
    child.on('error', error => {
      console.error(error.message)
      done(1)
    })
    child.on('exit', code => done(code ?? 1))
  })
}
