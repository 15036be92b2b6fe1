import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

/** A keyring that is locked may wait for a person for ever (T30). */
const withinMs = 3_000

/** One call of the system's keyring, in a process that is ended when it does not answer. Rejects with the reason. */
export async function askKeyring(
  act: 'get' | 'set' | 'delete',
  account: string,
  {env, password = ''}: {env: NodeJS.ProcessEnv; password?: string},
): Promise<unknown> {
  const {spawn} = await import('node:child_process')
  // From src/cli and from dist/bundle alike two folders up.
  const program = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'cli', 'keyring-process.cjs')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, act, account], {env, stdio: ['pipe', 'pipe', 'ignore']})
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`it did not answer within ${withinMs / 1000} s`))
    }, withinMs)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', piece => {
      text += piece
    })
    child.stdin.on('error', () => {})
    child.stdin.end(password)
    child.once('error', reject)
    child.once('close', () => {
      clearTimeout(timer)
      try {
        const {answer, error} = JSON.parse(text) as {answer?: unknown; error?: string}
        if (error === undefined) resolve(answer)
        else reject(new Error(error))
      } catch {
        reject(new Error('its library does not run here'))
      }
    })
  })
}
