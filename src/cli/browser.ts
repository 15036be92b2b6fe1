import {spawn} from 'node:child_process'
import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {OutputMode} from './global-flags.ts'
import {canAsk, isTerminal} from './terminal.ts'

/** Shows a page to a person: by $BROWSER, else by what the system opens pages with. False where there is no such program. */
export function openInBrowser(url: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const program = env.BROWSER || (process.platform === 'darwin' ? 'open' : 'xdg-open')
  return new Promise(resolve => {
    const child = spawn(program, [url], {stdio: 'ignore', detached: true})
    child.once('error', () => resolve(false))
    child.once('spawn', () => {
      child.unref()
      resolve(true)
    })
  })
}

/** Whether a person looks on, for whom a browser is opened. */
function isForPerson({format, quiet}: Pick<OutputMode, 'format' | 'quiet'>): boolean {
  return format === undefined && !quiet && isTerminal(process.stdout) && canAsk()
}

/** The page with a secret that signs in there: once, within a minute (docs/decisions/0019). */
export async function loginLink(url: string, client: Client): Promise<string> {
  const {secret} = await client.call('auth.browserLink', {})
  return `${url}#link=${secret}`
}

/** Opens it where a person looks on, signed in with `client` if given; elsewhere the URL that was printed is all. */
export async function openForPerson(
  url: string,
  {mode, notice, client}: {mode: Pick<OutputMode, 'format' | 'quiet'>; notice(text: string): void; client?: Client},
): Promise<void> {
  if (!isForPerson(mode)) return
  const link = client && (await loginLink(url, client).catch(whenSignedOut))
  if (await openInBrowser(link ?? url, process.env)) return
  notice(`No browser could be started: open ${link ? `${link} within a minute` : 'the URL by hand'}.`)
}

/** Who is not logged in here, or with a token that may only read, signs in there. */
function whenSignedOut(error: unknown): undefined {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return undefined
  throw error
}
