import type {Desired, ExecQuery} from '../contract/agent-protocol.ts'
import {problem} from '../domain/errors.ts'
import type {AgentPort, ExecStream, Fleet, LogQuery} from '../domain/ports.ts'
import type {AgentSession, AgentSessions} from '../link/agent-sessions.ts'
import {LinkError, RemoteError} from '../link/link-error.ts'

/** The open links as the domain knows them: a broken link is node_offline, a refusal of the agent node_failed. */
export function fleetOf(sessions: AgentSessions, nameOf: (nodeId: string) => string): Fleet {
  return {
    connected: nodeId => sessions.connected(nodeId),
    agent: nodeId => {
      if (!sessions.connected(nodeId)) throw problem('node_offline', {name: nameOf(nodeId)})
      return new TranslatedAgent(sessions.agent(nodeId), () => nameOf(nodeId))
    },
  }
}

class TranslatedAgent implements AgentPort {
  readonly #session: AgentSession
  readonly #name: () => string

  constructor(session: AgentSession, name: () => string) {
    this.#session = session
    this.#name = name
  }

  setDesired(desired: Desired): Promise<void> {
    return this.#translate(this.#session.setDesired(desired))
  }

  logs(containerId: string, query: LogQuery, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#translate(this.#session.logs(containerId, query, signal))
  }

  stats(containerId: string, signal: AbortSignal): Promise<AsyncIterable<Record<string, unknown>>> {
    return this.#translate(this.#session.stats(containerId, signal))
  }

  async exec(containerId: string, request: ExecQuery): Promise<ExecStream> {
    return this.#translate(this.#session.exec(containerId, request))
  }

  async #translate<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      if (error instanceof RemoteError)
        throw problem('node_failed', {name: this.#name(), reason: error.message}, {cause: error})
      if (error instanceof LinkError) throw problem('node_offline', {name: this.#name()}, {cause: error})
      throw error
    }
  }
}
