// The main job from nothing to nothing: `npm run demo`. Every step is the real command line and its real output.
import {execFileSync, spawn} from 'node:child_process'
import {copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync} from 'node:fs'
import {request} from 'node:http'
import {tmpdir} from 'node:os'
import {basename, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js')
const home = mkdtempSync(join(tmpdir(), 'gpuctl-demo-'))
const imageName = 'gpuctl/demo:1'
const startedAt = Date.now()
const env = {
  ...process.env,
  GPUCTL_CONFIG_DIR: join(home, 'config'),
  GPUCTL_DATA_DIR: join(home, 'data'),
  GPUCTL_CACHE_DIR: join(home, 'cache'),
  GPUCTL_KEYRING: 'file',
  GPUCTL_NO_INPUT: '1',
  // As on a terminal, wherever the tour is shown.
  GPUCTL_OUTPUT: 'table',
}
for (const name of ['GPUCTL_SERVER', 'GPUCTL_TOKEN', 'GPUCTL_TOKEN_FILE', 'GPUCTL_CONTEXT']) delete env[name]

const bold = text => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text)
const dim = text => (process.stdout.isTTY ? `\u001b[2m${text}\u001b[0m` : text)

/** Runs one command line, shows it with its output, and answers what it printed. Fails loudly when it fails. */
async function step(words, args, {expect = 0, show = true} = {}) {
  if (words) console.log(`\n${bold(words)}`)
  if (show) console.log(dim(`$ gpuctl ${args.map(quote).join(' ')}`))
  const output = await run(args, show)
  if (output.code !== expect)
    throw new Error(`gpuctl ${args.join(' ')} ended with ${output.code}, not ${expect}\n${output.all}`)
  return output.stdout
}

function run(args, show) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {env, stdio: ['ignore', 'pipe', 'pipe']})
    const timer = setTimeout(() => child.kill('SIGKILL'), 45_000)
    let stdout = ''
    let all = ''
    child.stdout.on('data', piece => {
      stdout += piece
      all += piece
      if (show) process.stdout.write(piece)
    })
    child.stderr.on('data', piece => {
      all += piece
      if (show) process.stdout.write(piece)
    })
    child.once('error', reject)
    child.once('close', code => {
      clearTimeout(timer)
      resolve({code, stdout, all})
    })
  })
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** One call to the Docker Engine on its socket; undefined when none answers. */
function docker(method, path, body, headers = {}) {
  const socketPath = process.env.DOCKER_HOST?.startsWith('unix://')
    ? process.env.DOCKER_HOST.slice(7)
    : '/var/run/docker.sock'
  return new Promise(resolve => {
    const call = request({socketPath, method, path, headers, timeout: 20_000}, answer => {
      let text = ''
      answer.on('data', piece => {
        text += piece
      })
      answer.on('end', () => resolve({status: answer.statusCode, text}))
    })
    call.on('error', () => resolve(undefined))
    call.on('timeout', () => call.destroy())
    call.end(body)
  })
}

/** A small image from this machine's own shell, because a registry may be out of reach. */
async function makeImage() {
  const root = join(home, 'image')
  for (const folder of ['bin', 'tmp', 'etc']) mkdirSync(join(root, folder), {recursive: true})
  const take = path => {
    const target = join(root, path)
    mkdirSync(dirname(target), {recursive: true})
    if (!existsSync(target)) copyFileSync(realpathSync(path), target)
  }
  for (const name of ['sh', 'sleep', 'cat']) {
    const found = ['/bin', '/usr/bin'].map(folder => join(folder, name)).find(existsSync)
    if (!found) throw new Error(`${name} is missing on this machine`)
    const real = realpathSync(found)
    copyFileSync(real, join(root, 'bin', basename(real)))
    if (basename(real) !== name) symlinkSync(basename(real), join(root, 'bin', name))
    for (const library of libraries(real)) take(library)
  }
  const tar = execFileSync('tar', ['-C', root, '-c', '.'], {maxBuffer: 256 * 1024 * 1024})
  const query = new URLSearchParams({fromSrc: '-', repo: 'gpuctl/demo', tag: '1', changes: 'CMD ["/bin/sh"]'})
  query.append('changes', 'ENV PATH=/bin')
  const answer = await docker('POST', `/images/create?${query}`, tar, {
    'content-type': 'application/x-tar',
    'content-length': tar.length,
  })
  if (answer?.status !== 200) throw new Error(`Docker did not take the image: ${answer?.text}`)
}

function libraries(path) {
  try {
    const text = execFileSync('ldd', [path], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']})
    return [...text.matchAll(/(\/[^\s()]+)/g)].map(match => match[1])
  } catch {
    return [] // a static program
  }
}

async function tour() {
  const answers = (await docker('GET', '/_ping'))?.status === 200
  if (answers) await makeImage()
  const image = answers ? imageName : 'host'
  console.log(
    answers
      ? 'A Docker Engine answers here: the demo runs containers, from a small image that it has just made of this machine’s own shell.'
      : 'No Docker Engine answers here: the demo runs plain processes (image `host`).',
  )
  await step('1. A control server and an agent, on this machine', [
    ...['up', '--detach', '--listen', '127.0.0.1:0', '--ssh-port', '0'],
    ...['--runtime', answers ? 'docker' : 'process', '--fake-gpus', '1xRTX4090'],
  ])
  await step('2. The machine asks to join', ['node', 'pending'])
  const [{code}] = JSON.parse(await step('', ['node', 'pending', '-o', 'json'], {show: false}))
  await step('3. Its code, typed by an operator, admits it', ['node', 'approve', code, '--wait'])
  await step('4. A claim for one GPU', [
    ...['claim', 'submit', '--name', 'train', '--image', image, '--gpus', '1', '--wait', '--'],
    ...['sh', '-c', 'i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo "epoch $i on GPU $GPUCTL_GPUS"; sleep 0.2; done'],
  ])
  await step('5. It is an instance now', ['instance', 'list'])
  await step('6. What it says', ['instance', 'logs', 'train', '--tail', '3'])
  await step('7. What it uses, and what the node does', ['instance', 'stats', 'train', '--once'])
  await step('', ['node', 'stats', '--once'])
  await step('8. A second claim: the only GPU is taken', [
    ...['claim', 'submit', '--name', 'second', '--image', image, '--gpus', '1', '--', 'sh', '-c', 'echo "my turn"'],
  ])
  await step('   Why does it wait?', ['claim', 'explain', 'second'])
  await step('9. The first one is cancelled', ['claim', 'cancel', 'train'])
  await step('10. The second one runs at once, to its end', ['instance', 'logs', '-f', 'second'])
  await step('', ['claim', 'list'])
  await step('11. What happened', ['event', 'list', '--limit', '12'])
  await step('12. All down', ['instance', 'delete', 'second', '--yes'])
  await step('', ['down'])
}

/** What the tour may have left in the engine: exited containers are kept for their logs. */
async function clearDocker() {
  const filters = encodeURIComponent(JSON.stringify({ancestor: [imageName]}))
  const found = await docker('GET', `/containers/json?all=true&filters=${filters}`)
  if (found?.status !== 200) return
  for (const {Id} of JSON.parse(found.text)) await docker('DELETE', `/containers/${Id}?force=true&v=true`)
  await docker('DELETE', `/images/${encodeURIComponent(imageName)}?force=true`)
}

let failure
try {
  await tour()
} catch (error) {
  failure = error
}
await run(['down'], false)
await clearDocker()
rmSync(home, {recursive: true, force: true})
if (failure) {
  console.error(`\nThe demo failed: ${failure.message}`)
  process.exit(1)
}
console.log(`\nDone in ${((Date.now() - startedAt) / 1000).toFixed(1)} s; nothing is left behind.`)
