import {stopInBackground} from './background.ts'
import {type ServerStart, serverDirectory, startServer} from './local-fleet.ts'
import {type RunFile, readRunFile} from './run-file.ts'
import {readServerConfig} from './server-config.ts'
import {defaultListen} from './server-options.ts'
import {runsAs} from './service-look.ts'
import {CannotStart} from './settings.ts'

/**
 * Ends the server of that folder and starts it in the background at the same addresses; where none runs it is started as
 * `server init` says.
 */
export async function restartServer(
  options: Pick<ServerStart, 'program' | 'data' | 'database'> & {graceMs: number},
): Promise<{run: RunFile; stopped: boolean}> {
  const {program, data, database, graceMs} = options
  const directory = serverDirectory(data)
  const running = await readRunFile(directory)
  if (running && (await runsAs('gpuctl-server', running.pid))) {
    throw new CannotStart('systemd runs this server.', 'Use `sudo systemctl restart gpuctl-server`.')
  }
  if (running?.store === 'postgres' && database === undefined) {
    throw new CannotStart(
      'The server that runs here keeps its store in PostgreSQL.',
      'Give its URL by GPUCTL_DATABASE_URL, as it was started with.',
    )
  }
  const start = running ? asItRuns(running) : {listen: defaultListen, alsoListen: [], ...(await readServerConfig(data))}
  const stopped = await stopInBackground(directory, graceMs)
  const {run} = await startServer({...start, program, data, database})
  return {run, stopped}
}

function asItRuns({urls, ssh, fingerprint, tlsFiles}: RunFile) {
  const [listen = defaultListen, ...alsoListen] = urls.map(url => {
    const {hostname, port, protocol} = new URL(url)
    return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
  })
  const selfSigned = fingerprint !== undefined && tlsFiles === undefined
  return {listen, alsoListen, selfSigned, tlsCert: tlsFiles?.cert, tlsKey: tlsFiles?.key, sshPort: ssh?.port ?? 0}
}
