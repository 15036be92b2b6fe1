import {type ChildProcess, spawn} from 'node:child_process'
import {constants} from 'node:os'
import {type ChosenProgram, Programs} from '../agent/programs.ts'
import {agentDirectory} from './local-fleet.ts'
import {type AgentFlags, orphanMs, runAgent} from './run-agent.ts'

/** Tells a program that it was started by another one of ours, which looks after it. */
const supervisedVariable = 'GPUCTL_AGENT_SUPERVISED'

/** A child that is asked to end: before who asked this process to, as `docker stop`, kills it after 10 s and leaves the child. */
const endWithinMs = 8_000

/** Timers may be early by a moment. */
const marginMs = 50

/**
 * Runs the agent until TERM or INT: the program that is installed here, or a newer one that the server sent, as a child
 * of this process. Going over from one to the other ends the agent only, and nothing that it runs. Resolves to the exit
 * code of a child that ended by itself.
 */
export async function superviseAgent(flags: AgentFlags, version: string, say: (line: string) => void): Promise<number> {
  const programs = new Programs({directory: agentDirectory()})
  if (takeSupervised()) {
    const parent = {pid: process.ppid, gone: parentGone()}
    // Another one may have been started already, and waits for the folder.
    void parent.gone.then(() => setTimeout(() => process.exit(1), orphanMs).unref())
    await runAgent(flags, {version, programs, parent}, say)
    return 0
  }
  for (;;) {
    // A machine without a server gets no program from it.
    const chosen = flags.server === undefined ? undefined : await programs.next(version)
    if (!chosen) {
      const why = await runAgent(flags, {version, programs}, say)
      if (why === 'stopped') return 0
      continue
    }
    say(`Going on with gpuctl ${chosen.version}${chosen.untilMs === undefined ? '' : ', on trial'}.`)
    const end = await runChild(chosen, programs)
    const isTrial = !(await programs.isSettled(chosen.version))
    if (end.isStopped || !isTrial) return end.code
    say(`gpuctl ${chosen.version} ended (${end.code}).`)
  }
}

/** Read once: what the agent starts must not take itself for one. */
function takeSupervised(): boolean {
  const isSupervised = process.env[supervisedVariable] !== undefined && process.send !== undefined
  delete process.env[supervisedVariable]
  return isSupervised
}

function parentGone(): Promise<void> {
  return new Promise(resolve => {
    if (!process.connected) resolve()
    else process.once('disconnect', resolve)
    // Who listens holds the process open, else.
    process.channel?.unref()
  })
}

/** With the same words and in the same place. It has a session of its own, so that a signal to it comes from here alone. */
async function runChild(
  {path, version, untilMs}: ChosenProgram,
  programs: Programs,
): Promise<{code: number; isStopped: boolean}> {
  const child = spawn(process.execPath, [...process.execArgv, path, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
    env: {...process.env, [supervisedVariable]: '1'},
  })
  let isStopped = false
  let late: NodeJS.Timeout | undefined
  const onSignal = () => {
    child.kill(isStopped ? 'SIGKILL' : 'SIGTERM')
    isStopped = true
    late ??= setTimeout(() => child.kill('SIGKILL'), endWithinMs)
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  const trial = untilMs === undefined ? undefined : endUnlessSettled(child, {programs, version, untilMs})
  try {
    return {code: await endOf(child), isStopped}
  } finally {
    clearTimeout(trial)
    clearTimeout(late)
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
  }
}

/** One that hangs, or that the server does not get to see, makes room for the former one. */
function endUnlessSettled(
  child: ChildProcess,
  {programs, version, untilMs}: {programs: Programs; version: string; untilMs: number},
): NodeJS.Timeout {
  const look = async () => {
    if (!(await programs.isSettled(version).catch(() => false))) child.kill('SIGKILL')
  }
  return setTimeout(look, Math.max(0, untilMs - Date.now()) + marginMs)
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise(resolve => {
    child.once('error', () => resolve(1))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  })
}
