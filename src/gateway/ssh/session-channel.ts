import type {PseudoTtyInfo, ServerChannel, Session} from 'ssh2'
import {encodeControl, encodeFrame, frameKind} from '../../contract/frames.ts'
import {problem} from '../../domain/errors.ts'
import type {ExecStream} from '../../domain/ports.ts'
import {flush, say} from './channel-output.ts'
import {joinExec} from './exec-bridge.ts'
import {choose} from './menu.ts'
import {serveSftp} from './sftp.ts'
import type {Goal, Visit} from './visit.ts'

/** As with ssh: what ended was not the command. */
const transportCode = 255
const killedCode = 137
const noProgramCodes = [126, 127]
/** With a terminal a signal is a key; without one the process ends. */
const keyOfSignal: Record<string, string> = {INT: '\x03', QUIT: '\x1c', TSTP: '\x1a'}

type Size = {rows: number; columns: number}

/**
 * One `session` channel (RFC 4254, 6): a shell, a command, or the menu before it. X11 and agent forwarding have no
 * listener, and are refused.
 */
export class SessionChannel {
  readonly #visit: Visit
  readonly #gone: AbortSignal
  readonly #variables: string[] = []
  #terminal: (Size & {term: string}) | undefined
  #exec: ExecStream | undefined

  constructor(session: Session, visit: Visit) {
    this.#visit = visit
    const closed = new AbortController()
    session.once('close', () => closed.abort())
    this.#gone = AbortSignal.any([closed.signal, visit.gone])
    session.on('pty', (accept, _, info) => {
      this.#terminal = {...sizeOf(info), term: termOf(info)}
      accept?.()
    })
    session.on('window-change', (accept, _, info) => {
      this.#resize(sizeOf(info))
      accept?.()
    })
    session.on('env', (accept, reject, {key, val}) => {
      if (!this.#keepVariable(key, val)) return reject?.()
      accept?.()
    })
    session.on('signal', (accept, _, {name}) => {
      this.#signal(name)
      accept?.()
    })
    session.on('shell', accept => void this.#run(accept(), channel => this.#serve(channel)))
    session.on('exec', (accept, _, {command}) => void this.#run(accept(), channel => this.#serve(channel, command)))
    session.on('subsystem', (accept, reject, {name}) => {
      if (name !== 'sftp') return reject()
      void this.#run(accept(), channel => this.#serveFiles(channel))
    })
  }

  async #run(channel: ServerChannel, serve: (channel: ServerChannel) => Promise<number>): Promise<void> {
    channel.on('error', () => {}) // the client has gone: its close says the rest
    channel.stderr.on('error', () => {})
    const code = await serve(channel).catch(error => {
      say(channel, this.#visit.words(error))
      return transportCode
    })
    await flush(channel, this.#gone)
    if (!channel.writable) return
    channel.exit(code)
    channel.end()
  }

  async #serveFiles(channel: ServerChannel): Promise<number> {
    const goal = await this.#visit.goal()
    if (!goal)
      throw problem('input_invalid', {field: 'user', problem: 'names no instance', fix: 'Log in as USER+INSTANCE.'})
    return serveSftp(channel, this.#visit, goal, this.#gone)
  }

  async #serve(channel: ServerChannel, command?: string): Promise<number> {
    await this.#visit.session()
    const place = await this.#place(channel, command)
    if (!place) return 0
    const exec = await this.#open(place.goal, place.command)
    try {
      const {code, beginning} = await joinExec(channel, exec, this.#gone)
      if (noProgramCodes.includes(code) && beginning.startsWith('OCI runtime exec failed')) {
        say(channel, `${place.goal.name} has no shell. Run a program of it: gpuctl exec ${place.goal.name} -- PROGRAM`)
      }
      if (code === killedCode) await this.#sayIfStopped(channel, place.goal)
      return code
    } catch (error) {
      await this.#sayIfStopped(channel, place.goal)
      throw error
    } finally {
      this.#exec = undefined
    }
  }

  /** By the login name; else the first word of the command names the instance; else the menu asks. */
  async #place(channel: ServerChannel, command?: string): Promise<{goal: Goal; command?: string} | undefined> {
    const visit = this.#visit
    const goal = await visit.goal()
    if (goal) return {goal, command}
    if (command !== undefined) {
      const [, name = '', rest] = /^\s*(\S+)(?:\s+([\s\S]*))?$/.exec(command) ?? []
      return {goal: await visit.enter(name), command: rest}
    }
    const {menuMs, emptyMenuMs} = visit.settings
    const found = await visit.services.instances.list({all: true, limit: 1000}, visit.caller)
    const instances = found.filter(({containerId}) => containerId !== '')
    const chosen = await choose(channel, {instances, waitMs: menuMs, emptyMs: emptyMenuMs})
    return chosen && {goal: await visit.enter(chosen.id)}
  }

  async #open(goal: Goal, command: string | undefined): Promise<ExecStream> {
    const {services, caller} = this.#visit
    const terminal = this.#terminal
    const shell = {id: goal.id, command, tty: terminal !== undefined, env: this.#variables, ...terminal}
    const exec = await services.instances.openShell(shell, caller, await this.#visit.session())
    this.#exec = exec
    return exec
  }

  async #sayIfStopped(channel: ServerChannel, {id, name}: Goal): Promise<void> {
    const {services, caller} = this.#visit
    const instance = await services.instances.get({id}, caller).catch(() => undefined)
    if (!instance || instance.desired === 'deleted') say(channel, `Instance ${name} was deleted.`)
    else if (instance.desired === 'stopped') say(channel, `Instance ${name} was stopped.`)
    else if (instance.status !== 'running') say(channel, `Instance ${name} is ${instance.status}. ${instance.reason}`)
  }

  /** `ssh` without a terminal of its own sends 0×0: that is no size. */
  #resize(size: Size): void {
    if (!this.#terminal || size.rows <= 0 || size.columns <= 0) return
    this.#terminal = {...this.#terminal, ...size}
    this.#send(encodeControl({resize: size}))
  }

  #signal(name: string): void {
    const pressed = this.#terminal && keyOfSignal[name]
    if (pressed) this.#send(encodeFrame(frameKind.stdin, Buffer.from(pressed)))
    else if (['HUP', 'INT', 'KILL', 'QUIT', 'TERM'].includes(name)) this.#exec?.close()
  }

  #send(frame: Uint8Array): void {
    this.#exec?.write(frame).catch(() => {}) // it has ended
  }

  #keepVariable(key: string, value: string): boolean {
    if (!/^[A-Za-z_]\w{0,255}$/.test(key) || value.length > 3_000 || value.includes('\0')) return false
    if (this.#variables.length >= this.#visit.settings.maxVariables) return false
    this.#variables.push(`${key}=${value}`)
    return true
  }
}

function sizeOf({rows, cols}: Pick<PseudoTtyInfo, 'rows' | 'cols'>): Size {
  return rows > 0 && cols > 0 && rows < 65_536 && cols < 65_536 ? {rows, columns: cols} : {rows: 0, columns: 0}
}

/** A bare name: it becomes part of a path where the terminal database is read. */
function termOf({term}: PseudoTtyInfo): string {
  return /^[\w.+-]{1,64}$/.test(term ?? '') ? term : ''
}
