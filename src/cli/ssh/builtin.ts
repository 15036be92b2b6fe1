import {createHash} from 'node:crypto'
import {constants} from 'node:os'
import type {ClientChannel} from 'ssh2'
import {exitCode} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import {readIfThere} from '../private-file.ts'
import type {SshWay} from './jump-host.ts'

interface Session {
  command: string
  tty: boolean
}

/** A shell or a command through the ssh2 library, where there is no OpenSSH; answers the exit code of the remote. */
export async function runBuiltin(way: SshWay, session: Session): Promise<number> {
  const {default: ssh2} = await import('ssh2')
  const client = new ssh2.Client()
  const wanted = createHash('sha256')
    .update(Buffer.from(way.hostKey.split(' ')[1] ?? '', 'base64'))
    .digest('hex')
  const privateKey = await readIfThere(way.keyPath)
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve)
      client.once('error', error =>
        reject(new Failure('ssh_failed', `SSH: ${error.message}`, {exitCode: exitCode.transport})),
      )
      client.connect({
        ...{host: way.host, port: way.port, username: way.login, privateKey},
        hostHash: 'sha256',
        hostVerifier: (found: string) => found === wanted,
        keepaliveInterval: 15_000,
      })
    })
    return await join(await openChannel(client, session), session)
  } finally {
    client.end()
  }
}

function openChannel(client: import('ssh2').Client, {command, tty}: Session): Promise<ClientChannel> {
  const {rows = 24, columns: cols = 80} = process.stdout
  const pty = tty ? {term: process.env.TERM || 'xterm-256color', rows, cols, width: 0, height: 0} : false
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: ClientChannel) => (error ? reject(error) : resolve(channel))
    if (command === '') client.shell(pty, done)
    else client.exec(command, pty === false ? {} : {pty}, done)
  })
}

function join(channel: ClientChannel, {tty}: Session): Promise<number> {
  const {stdin, stdout, stderr} = process
  const resize = () => channel.setWindow(stdout.rows, stdout.columns, 0, 0)
  const restore = () => void (tty && stdin.isTTY && !stdin.destroyed && stdin.setRawMode(false))
  if (tty && stdin.isTTY) stdin.setRawMode(true)
  process.on('exit', restore)
  stdout.on('resize', resize)
  stdin.pipe(channel).pipe(stdout)
  channel.stderr.pipe(stderr)
  return new Promise<number>(resolve => {
    let code: number = exitCode.transport
    channel.once('exit', (status: number | null, signal?: string) => {
      code = status ?? 128 + (constants.signals[`SIG${signal}` as 'SIGTERM'] ?? 0)
    })
    channel.once('close', () => resolve(code))
  }).finally(() => {
    restore()
    process.off('exit', restore)
    stdout.off('resize', resize)
    stdin.destroy()
  })
}
