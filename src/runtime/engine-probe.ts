import {type DockerAddress, DockerEngine} from './docker-engine.ts'
import {isRefusedLogin} from './docker-errors.ts'

const limitMs = 10_000

/** Whether a Docker Engine answers there. Says no more than these three words, whatever is there (security T21). */
export async function probeEngine(address: DockerAddress): Promise<'connected' | 'auth_failed' | 'unreachable'> {
  let engine: DockerEngine | undefined
  try {
    engine = new DockerEngine(address)
    const answer = await engine.call('Asking the engine', docker => docker.ping(), limitMs)
    return String(answer).trim() === 'OK' ? 'connected' : 'unreachable'
  } catch (error) {
    return isRefusedLogin(error) ? 'auth_failed' : 'unreachable'
  } finally {
    engine?.close()
  }
}
