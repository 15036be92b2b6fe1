import {duplexPair} from 'node:stream'
import {type StreamHandler, serveLink} from './agent-end.ts'
import {ServerLink} from './server-end.ts'
import type {LinkTiming} from './session.ts'

/** A link between two halves of one process: the agent's code runs inside the server for a node without an agent. */
export function linkPair(handler: StreamHandler, timing: LinkTiming = {}): ServerLink {
  const [agentSide, serverSide] = duplexPair({highWaterMark: 1024 * 1024})
  // A pair of sockets tells each other of their end; these two have to be taught.
  agentSide.once('close', () => serverSide.destroy())
  serverSide.once('close', () => agentSide.destroy())
  serveLink(agentSide, handler, timing)
  return new ServerLink(serverSide, timing)
}
