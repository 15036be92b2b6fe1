import type {Http2Session} from 'node:http2'
import type {Agent} from '../agent/agent.ts'
import {createLinkHandler} from '../agent/link-handler.ts'
import type {Replaceable} from '../agent/program-calls.ts'
import type {StreamHandler} from '../link/agent-end.ts'

/** Each link has a handler of its own, because each counts the revisions that came over it. */
export function handlerForEachLink(agent: Agent, own?: Replaceable): StreamHandler {
  const handlers = new WeakMap<Http2Session, StreamHandler>()
  return (stream, headers) => {
    const session = stream.session
    if (!session) return
    const handler = handlers.get(session) ?? createLinkHandler(agent, own)
    handlers.set(session, handler)
    handler(stream, headers)
  }
}
