/**
 * `npm run pack [-- --node=PATH] [--out=FOLDER]`: the npm package, a tarball with Node in it, and a Debian package with
 * the units of server and agent. Node is the one that runs this unless given. Linux only; needs npm's registry for the
 * four native packages, and dpkg-deb.
 */
import {execFileSync} from 'node:child_process'
import {existsSync} from 'node:fs'
import {chmod, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import loader from '../bin/load.js'

const root = join(import.meta.dirname, '..')
const {values} = parseArgs({
  options: {node: {type: 'string', default: process.execPath}, out: {type: 'string', default: 'packages'}},
})
const out = resolve(values.out)
const {version, description} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const architectures = {x64: 'amd64', arm64: 'arm64'}
const debArchitecture = architectures[process.arch]
if (process.platform !== 'linux' || !debArchitecture)
  throw new Error(`Packages are made on Linux on x64 or arm64, not on ${process.platform} ${process.arch}.`)

// What is packed is for all to read, whoever packs it.
process.umask(0o022)
const stage = await mkdtemp(join(tmpdir(), 'gpuctl-pack-'))
try {
  await mkdir(out, {recursive: true})
  const made = [await packNpm()]
  const tree = await assemble(made[0])
  made.push(await packTarball(tree), await packDebian(tree))
  for (const path of made) console.log(path)
} finally {
  await rm(stage, {recursive: true, force: true})
}

async function packNpm() {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', out], {cwd: root}))
  return join(out, packed.filename)
}

/** `gpuctl/`: bin/gpuctl, bin/node, node_modules, the manual. */
async function assemble(npmPackage) {
  const tree = join(stage, 'gpuctl')
  await mkdir(join(tree, 'bin'), {recursive: true})
  await writeFile(join(tree, 'package.json'), '{"private": true}\n')
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--no-package-lock', npmPackage], {cwd: tree})
  await rm(join(tree, 'package.json'))
  await keepOwnPrebuilds(join(tree, 'node_modules/@photostructure/sqlite/prebuilds'))
  await copyFile(values.node, join(tree, 'bin/node'))
  await writeProgram(join(tree, 'bin/gpuctl'), '$(dirname "$(readlink -f "$0")")')
  await mkdir(join(tree, 'share/man/man1'), {recursive: true})
  const manual = run(join(tree, 'bin/gpuctl'), ['help', '--man'], {cwd: tree})
  await writeFile(join(tree, 'share/man/man1/gpuctl.1'), manual)
  return tree
}

/** The SQLite package carries the code of six platforms. */
async function keepOwnPrebuilds(folder) {
  if (!existsSync(folder)) return
  for (const name of await readdir(folder))
    if (!name.startsWith(`linux-${process.arch}`)) await rm(join(folder, name), {recursive: true})
}

async function writeProgram(path, bin) {
  const program = `exec "${bin}/node" "${bin}/../node_modules/gpuctl/bin/run.js" "$@"`
  await writeFile(path, `#!/bin/sh\n${program}\n`)
  await chmod(path, 0o755)
}

async function packTarball(tree) {
  const path = join(out, `gpuctl-${version}-linux-${process.arch}.tar.gz`)
  run('tar', ['--owner=0', '--group=0', '-czf', path, '-C', dirname(tree), 'gpuctl'])
  return path
}

async function packDebian(tree) {
  const home = '/usr/lib/gpuctl'
  const at = path => join(stage, 'deb', path)
  await cp(tree, at(home), {recursive: true, verbatimSymlinks: true})
  await rm(at(`${home}/bin/gpuctl`))
  await rm(at(`${home}/share`), {recursive: true})
  await mkdir(at('/usr/bin'), {recursive: true})
  await writeProgram(at('/usr/bin/gpuctl'), `${home}/bin`)
  await mkdir(at('/usr/share/man/man1'), {recursive: true})
  await copyFile(join(tree, 'share/man/man1/gpuctl.1'), at('/usr/share/man/man1/gpuctl.1'))
  await mkdir(at('/usr/share/doc/gpuctl'), {recursive: true})
  await copyFile(join(root, 'LICENSE'), at('/usr/share/doc/gpuctl/copyright'))
  await mkdir(at('/etc/gpuctl'), {recursive: true})
  await writeUnits(at, [`${home}/bin/node`, `${home}/node_modules/gpuctl/bin/run.js`])
  await writeControl(at('/DEBIAN'))
  const path = join(out, `gpuctl_${version}_${debArchitecture}.deb`)
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', at(''), path])
  return path
}

/** The units that `gpuctl server install` would write, for the program in this package; the address of the agent's server is in its environment file. */
async function writeUnits(at, program) {
  const {accountText, unitText} = loader.load('main', 'pack').modules['service-unit']()
  await mkdir(at('/usr/lib/systemd/system'), {recursive: true})
  await mkdir(at('/usr/lib/sysusers.d'), {recursive: true})
  await writeFile(at('/usr/lib/sysusers.d/gpuctl.conf'), accountText)
  for (const half of ['server', 'agent'])
    await writeFile(
      at(`/usr/lib/systemd/system/gpuctl-${half}.service`),
      unitText({name: `gpuctl-${half}`, command: [...program, half, 'start']}),
    )
}

async function writeControl(folder) {
  const scripts = {
    // Its variables reach the agent, so the folder is root's alone; an earlier unit gave it to the server.
    postinst: `chown root:root /etc/gpuctl
if command -v systemd-sysusers >/dev/null; then systemd-sysusers gpuctl.conf
elif ! getent passwd gpuctl >/dev/null; then useradd --system --home-dir /var/lib/gpuctl --shell /usr/sbin/nologin gpuctl; fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  if [ -n "$2" ]; then systemctl try-restart gpuctl-server gpuctl-agent; fi
fi`,
    prerm: `if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now gpuctl-server gpuctl-agent; fi`,
    postrm: `if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
if [ "$1" = purge ]; then rm -rf /etc/gpuctl /var/lib/gpuctl /var/lib/gpuctl-agent /var/cache/gpuctl /var/cache/gpuctl-agent; fi`,
  }
  await mkdir(folder, {recursive: true})
  await writeFile(
    join(folder, 'control'),
    `Package: gpuctl
Version: ${version}
Architecture: ${debArchitecture}
Maintainer: gpuctl <gpuctl@localhost>
Depends: libc6 (>= 2.29), libstdc++6
Recommends: openssh-client, zstd
Section: admin
Priority: optional
Description: ${description.replace(/\.$/, '')}
 Command line, control server and node agent, with the Node that runs them.
 Neither service is started by the installation: run
 systemctl enable --now gpuctl-server on one machine; on GPU machines put
 GPUCTL_SERVER=http://SERVER:8888 into /etc/gpuctl/agent.env and run
 systemctl enable --now gpuctl-agent.
`,
  )
  for (const [name, body] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\nset -e\n${body}\n`)
    await chmod(join(folder, name), 0o755)
  }
}

function run(program, args, options = {}) {
  return execFileSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  })
}
