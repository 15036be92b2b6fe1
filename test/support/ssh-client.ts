import {execFileSync, spawn} from 'node:child_process'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {temporaryDirectory} from './temporary-directory.ts'

export interface SshRun {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  input?: string | Buffer
  withinMs?: number
  env?: NodeJS.ProcessEnv
}

/** A person with OpenSSH's programs, a key pair, and the host key of one jump host in known_hosts. */
export class SshClient {
  readonly folder: string
  readonly port: number
  readonly publicKey: string

  constructor(folder: string, {port, publicKey}: {port: number; publicKey: string}) {
    this.folder = folder
    this.port = port
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', join(folder, 'id')])
    this.publicKey = execFileSync('cat', [join(folder, 'id.pub')], {encoding: 'utf8'})
    writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${port} ${publicKey}\n`)
  }

  static async start(door: {port: number; publicKey: string}): Promise<SshClient> {
    return new SshClient(await temporaryDirectory('gpuctl-ssh-'), door)
  }

  /** Options that all programs take: no questions, no files of the person who runs the tests. */
  options(extra: string[] = []): string[] {
    const known = `UserKnownHostsFile=${join(this.folder, 'known_hosts')}`
    const own = ['-F', 'none', '-o', known, '-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'StrictHostKeyChecking=yes']
    return [...own, '-o', 'LogLevel=ERROR', '-o', 'IdentityAgent=none', ...extra]
  }

  keyOptions(extra: string[] = []): string[] {
    const only = ['-o', 'IdentitiesOnly=yes', '-o', 'PreferredAuthentications=publickey']
    return this.options(['-i', join(this.folder, 'id'), ...only, ...extra])
  }

  passwordOptions(extra: string[] = []): string[] {
    return this.options(['-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1', ...extra])
  }

  /** `ssh … LOGIN@127.0.0.1 …words` with the key. */
  ssh(login: string, words: string[], options: RunOptions & {flags?: string[]} = {}): Promise<SshRun> {
    const flags = [...this.keyOptions(options.flags), '-p', String(this.port)]
    return this.run('ssh', [...flags, `${login}@127.0.0.1`, ...words], options)
  }

  /** As ssh, with a password. */
  sshWithPassword(login: string, password: string, words: string[], flags: string[] = []): Promise<SshRun> {
    const args = ['-e', 'ssh', ...this.passwordOptions(flags), '-p', String(this.port)]
    return this.run('sshpass', [...args, `${login}@127.0.0.1`, ...words], {env: {SSHPASS: password}})
  }

  run(program: string, args: string[], {input = '', withinMs = 20_000, env}: RunOptions = {}): Promise<SshRun> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {env: {PATH: process.env.PATH, HOME: this.folder, ...env}, stdio: 'pipe'})
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
      const run: SshRun = {code: null, stdout: '', stderr: ''}
      child.stdout.setEncoding('latin1').on('data', piece => {
        run.stdout += piece
      })
      child.stderr.setEncoding('utf8').on('data', piece => {
        run.stderr += piece
      })
      child.once('error', reject)
      child.once('close', code => {
        clearTimeout(timer)
        resolve({...run, code})
      })
      child.stdin.on('error', () => {})
      child.stdin.end(input)
    })
  }
}
