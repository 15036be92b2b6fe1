import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {startNodeAgent} from '../../../src/main/node-agent.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import {environment} from '../../../src/storage/run.ts'
import {memberAccess} from '../task-trials/members.ts'

// lab-agent SERVER JOIN_TOKEN_FILE FOLDER: a node agent that finds programs of Proxmox VE and some of the
// system's in FOLDER/bin, and keeps its mounts there; its Docker Engine listens at FOLDER/docker.sock, where there is one.
// Everything else, and all of the agent's own code, is as ever.
const [server = '', joinTokenFile = '', folder = ''] = process.argv.slice(2)
process.umask(0o077)
const socket = join(folder, 'docker.sock')
const runtime = existsSync(socket) ? 'docker' : 'fake'
process.env.DOCKER_HOST = `unix://${socket}`
const stopping = new AbortController()
const agent = await startNodeAgent({
  ...{server, version: 'bench', runtime, fakeGpus: '1', signal: stopping.signal},
  directory: join(process.env.GPUCTL_DATA_DIR ?? folder, 'agent'),
  logger: createLogger({level: 'info'}),
  joinToken: readFileSync(joinTokenFile, 'utf8').trim(),
  storage: {
    env: {...environment, PATH: `${join(folder, 'bin')}:${environment.PATH}`},
    fstab: join(folder, 'fstab'),
    mountRoot: join(folder, 'mnt'),
    join: memberAccess(folder),
    proxmox: {configFolder: join(folder, 'pve'), isoFolder: join(folder, 'iso')},
  },
  onJoin: {code() {}, waiting() {}},
  onLink() {},
})
process.once('SIGTERM', () => {
  stopping.abort(new Error('stopped'))
  void agent.stop().then(() => process.exit(0))
})
