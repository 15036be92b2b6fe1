import type {AgentProgram, ProgramEnd} from '../contract/agent-protocol.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import {inputOf} from './call-input.ts'
import {ProgramError, type Programs} from './programs.ts'

/** Of an agent that can be replaced while it runs. */
export interface Replaceable {
  version: string
  programs: Programs
  /** A new program waits: the agent should end, so that it is started. */
  replace(): void
}

export async function describeProgram(call: AgentCall, own: Replaceable | undefined): Promise<void> {
  const {version, programs} = ofProgram(own)
  const found: AgentProgram = await programs.describe(version)
  call.respondJson(200, found)
}

/** The answer begins at once and says at the end how it went; only then the agent goes. */
export async function takeProgram(call: AgentCall, own: Replaceable | undefined): Promise<void> {
  const {version: ownVersion, programs, replace} = ofProgram(own)
  const {query} = call
  const text = (name: string) => query.get(name) ?? ''
  const part = {
    ...{version: text('version'), sha256: text('sha256'), attempt: text('attempt')},
    sizeBytes: Number(query.get('sizeBytes')),
  }
  const output = call.respondStream(200, 'application/json')
  const end: ProgramEnd = {}
  try {
    await programs.receive(part, inputOf(call), ownVersion)
    call.onClose(replace)
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error
    end.error = {code: 'program_refused', message: error.message}
  }
  output.end(`${JSON.stringify(end)}\n`)
  call.stream.resume()
}

export async function confirmProgram(call: AgentCall, own: Replaceable | undefined): Promise<void> {
  const {version, programs} = ofProgram(own)
  const wanted = call.query.get('version') ?? ''
  if (wanted !== version) throw new CallProblem(409, 'program_refused', `${version} runs here, not ${wanted}.`)
  await programs.confirm(version).catch(error => {
    throw error instanceof ProgramError ? new CallProblem(409, 'program_refused', error.message) : error
  })
  call.respondJson(200, {version})
}

function ofProgram(own: Replaceable | undefined): Replaceable {
  if (own) return own
  throw new CallProblem(409, 'program_fixed', 'This agent is part of another program, and is replaced with that one.')
}
