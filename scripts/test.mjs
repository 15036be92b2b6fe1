/**
 * `npm test`: on Debian as root installs and starts by itself what the tests need; then build, Biome, tsc, knip, and all
 * tests. The stage with a machine of its own runs beside the others. The last line is `N passed, N failed, N skipped`; a
 * check that fails counts as one failed.
 *
 * `npm test -- test/unit/x.test.ts` builds and runs vitest with these arguments, nothing else.
 */
import {spawn} from 'node:child_process'
import {closeSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {installMissing, startDocker, startZfs} from './setup-machine.mjs'

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
  const stage = beginStage(folder)
  let counts
  try {
    failedChecks += await failuresOf('lint', 'node_modules/.bin/biome', 'check', '--error-on-warnings')
    failedChecks += await failuresOf('types', 'node_modules/.bin/tsc', '--noEmit')
    failedChecks += await failuresOf('unused code', 'node_modules/.bin/knip', '--no-progress')
    console.log('\n— tests')
    counts = [await runTests(['run'], {countFile: join(folder, 'count.json')})]
  } finally {
    const ofStage = await stage.ended
    console.log(`\n— tests in a machine of its own\n${readFileSync(stage.log, 'utf8')}`)
    counts?.push(ofStage)
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

/** Beside the others, since most of its time is one processor's; what it says is kept until the others have ended. */
function beginStage(folder) {
  const log = join(folder, 'stage.log')
  const out = openSync(log, 'w')
  const env = {...process.env, GPUCTL_VM_STAGE: '1'}
  const ended = runTests(['run', '--project', 'vm'], {countFile: join(folder, 'stage.json'), env, out})
  closeSync(out)
  return {log, ended}
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
