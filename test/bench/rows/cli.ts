import {execFileSync, spawn} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured, verdict} from '../row.ts'
import {serverWithNodes} from '../stored-nodes.ts'

type Program = readonly [file: string, ...args: string[]]

/** Steps of the times in /proc. */
const tickMs = 10
const startsInARow = 5

/** P1–P3: CPU from start to end of a command, against Node that does nothing and against the clients that people know. */
export const cli: Row = {
  name: 'cli',
  budgets: 'P1, P2, P3',
  async measure(context) {
    const {server} = await serverWithNodes(context, 'nodes', 20)
    const kubernetes = await standInForKubernetes(context)
    const env = {PATH: process.env.PATH, HOME: context.folder}
    // As a person has it: the server in a context, the token in the file of credentials.
    const login = [context.program, 'login', server.url, '--token-stdin', '--context', 'bench', '--storage', 'file']
    execFileSync(process.execPath, login, {env, input: server.token, stdio: ['pipe', 'ignore', 'pipe']})
    const ours = (...args: string[]): Program => [process.execPath, context.program, ...args]
    const programs: Record<string, Program> = {
      'node -e 0': [process.execPath, '-e', '0'],
      'gpuctl --version': ours('--version'),
      'gpuctl --help': ours('--help'),
      'gpuctl node list': ours('node', 'list'),
      'gpuctl node list --help': ours('node', 'list', '--help'),
      'gh --version': ['gh', '--version'],
      'docker --version': ['docker', '--version'],
      'kubectl get nodes': ['kubectl', '--server', kubernetes, 'get', 'nodes'],
    }
    const cpuMs = await measureAll(context, programs, env)
    const peak = await peakMiB(context, programs['gpuctl node list']!, env)
    const against = (name: string, other: string, limit: number, remark?: string): Measurement => {
      const [mine = Number.NaN, theirs = Number.NaN] = [cpuMs.get(name), cpuMs.get(other)]
      const ratio = mine / theirs
      if (Number.isNaN(ratio)) return unmeasured(`${name} against ${other}`, `≤ ${limit} ×`, `${other} is not here`)
      return {
        what: `${name}, CPU`,
        baseline: `${round(theirs)} ms: ${other}`,
        ours: `${round(mine)} ms`,
        ratio,
        budget: limit === Number.POSITIVE_INFINITY ? '–' : `≤ ${limit} ×`,
        verdict: limit === Number.POSITIVE_INFINITY ? 'no budget' : verdict(ratio <= limit, context),
        remark,
      }
    }
    return [
      against('gpuctl --version', 'node -e 0', 1.15),
      against('gpuctl --help', 'node -e 0', 1.15),
      against('gpuctl node list', 'node -e 0', 1.7, '20 rows from a real server, to no terminal'),
      {
        what: 'gpuctl node list, peak memory',
        baseline: '–',
        ours: `${round(peak)} MiB`,
        ratio: undefined,
        budget: '≤ 50 MiB',
        verdict: verdict(peak <= 50, context),
      },
      against('gpuctl node list --help', 'node -e 0', Number.POSITIVE_INFINITY),
      against('gpuctl node list', 'kubectl get nodes', 0.5, 'kubectl asks a stand-in that answers at once'),
      against('gpuctl node list', 'gh --version', 1),
      against('gpuctl --version', 'docker --version', Number.POSITIVE_INFINITY),
    ]
  },
}

/** Medians of the CPU of one start, all programs in turn; a program that is not here or fails has none. */
async function measureAll(context: RowContext, programs: Record<string, Program>, env: NodeJS.ProcessEnv) {
  const values = new Map<string, number[]>()
  for (const [name, program] of Object.entries(programs)) {
    // The second start finds what the first one kept.
    if ((await runOnce(program, env)) && (await runOnce(program, env))) values.set(name, [])
    else context.progress(`${name} does not run here`)
  }
  for (let round = 0; round < (context.quick ? 2 : 15); round++) {
    for (const [name, found] of values) {
      const before = childrenCpuMs()
      for (let start = 0; start < startsInARow; start++) await runOnce(programs[name]!, env)
      found.push((childrenCpuMs() - before) / startsInARow)
    }
  }
  return new Map([...values].map(([name, found]) => [name, median(found)]))
}

function runOnce([file, ...args]: Program, env: NodeJS.ProcessEnv): Promise<boolean> {
  const child = spawn(file, args, {stdio: 'ignore', env})
  return new Promise(resolve => {
    child.once('error', () => resolve(false))
    child.once('exit', code => resolve(code === 0))
  })
}

/** CPU of all children of this process that have ended. */
function childrenCpuMs(): number {
  const [, fields = ''] = readFileSync('/proc/self/stat', 'utf8').split(') ')
  const [user = 0, system = 0] = fields.split(' ').slice(13, 15).map(Number)
  return (user + system) * tickMs
}

async function peakMiB(context: RowContext, [node, ...args]: Program, env: NodeJS.ProcessEnv): Promise<number> {
  const hook = join(context.folder, 'peak.cjs')
  const result = join(context.folder, 'peak')
  writeFileSync(
    hook,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(result)}, String(process.resourceUsage().maxRSS)))`,
  )
  await runOnce([node, '--require', hook, ...args], env)
  await runOnce([node, '--require', hook, ...args], env)
  return Number(readFileSync(result, 'utf8')) / 1024
}

/** Enough of the Kubernetes API for `kubectl get nodes`: twenty rows. */
async function standInForKubernetes(context: RowContext): Promise<string> {
  const columns = ['Name', 'Status', 'Roles', 'Age', 'Version'].map(name => ({name, type: 'string', priority: 0}))
  const rows = Array.from({length: 20}, (_, at) => ({
    cells: [`node-${at}`, 'Ready', '<none>', '3d', 'v1.32.0'],
    object: {kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: {name: `node-${at}`}},
  }))
  const nodes = {name: 'nodes', singularName: 'node', namespaced: false, kind: 'Node', verbs: ['get', 'list']}
  const answers: Record<string, object> = {
    '/api': {kind: 'APIVersions', versions: ['v1']},
    '/apis': {kind: 'APIGroupList', apiVersion: 'v1', groups: []},
    '/api/v1': {kind: 'APIResourceList', groupVersion: 'v1', resources: [nodes]},
    '/api/v1/nodes': {kind: 'Table', apiVersion: 'meta.k8s.io/v1', columnDefinitions: columns, rows},
  }
  const server = createServer((request, response) => {
    const found = answers[(request.url ?? '').split('?')[0] ?? '']
    response.writeHead(found ? 200 : 404, {'content-type': 'application/json'})
    response.end(JSON.stringify(found ?? {kind: 'Status', status: 'Failure', code: 404}))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  context.atEnd(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
